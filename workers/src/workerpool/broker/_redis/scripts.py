"""The Lua scripts, each with the shared functions before it."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name by which Redis caches it."""

    text: str
    sha: str


def _load(name: str) -> Script:
    folder = resources.files("workerpool.broker._redis") / "lua"
    text = (folder / "common.lua").read_text("utf-8") + "\n" + (folder / f"{name}.lua").read_text("utf-8")
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


ACK: Final = _load("ack")
DEAD: Final = _load("dead")
DEPTH: Final = _load("depth")
EXTEND: Final = _load("extend")
HAND_BACK: Final = _load("handback")
LEAVE: Final = _load("leave")
MAINTAIN: Final = _load("maintain")
MINE: Final = _load("mine")
PUT: Final = _load("put")
RECLAIM: Final = _load("reclaim")
RETRY: Final = _load("retry")
