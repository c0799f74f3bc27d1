"""The Lua scripts, each with the shared functions before it."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Final

from workerpool.broker._bucket import BURST_SECONDS
from workerpool.broker._fair import AGEING_SECONDS
from workerpool.broker._shed import EXPIRED_TEXT, SHED_TEXT
from workerpool.broker._tenants import LOOK_AGAIN_SECONDS, SAY_SECONDS

# Not importlib.resources: it loads tempfile, shutil and zipfile, for a package that is always a folder.
_FOLDER: Final = Path(__file__).with_name("lua")
_AGEING: Final = ", ".join(f"{priority.value} = {seconds * 1000:.0f}" for priority, seconds in AGEING_SECONDS.items())
_CONSTANTS: Final = f"""
local EXPIRED_TEXT, SHED_TEXT = '{EXPIRED_TEXT}', '{SHED_TEXT}'
local AGEING_MS = {{{_AGEING}}}
local BURST_SECONDS, SAY_MS, LOOK_AGAIN_MS = {BURST_SECONDS}, {SAY_SECONDS * 1000:.0f}, {LOOK_AGAIN_SECONDS * 1000:.0f}
"""


class Script:
    """A script and the name by which Redis caches it. Read when it is first used: nobody uses all of them."""

    def __init__(
        self, name: str, *, order: bool = True, clock: bool = False, full: bool = False, folder: Path = _FOLDER
    ) -> None:
        """From its file and from those whose functions it calls.

        Args:
            name: Of its file.
            order: It may touch jobs that wait in a fair order, or tenants' limits.
            clock: It decides by the time since something else happened.
            full: It runs also when Redis is out of memory (`maxmemory`, `noeviction`), for it frees some, or moves
                what is there. Others may write then only if a write that takes none comes first.
            folder: Where its text is.
        """
        self._name = name
        self._order = order
        self._clock = clock
        self._full = full
        self._folder = folder

    @cached_property
    def text(self) -> str:
        """What Redis runs."""
        parts = [_read("common"), _read(self._name, self._folder)]
        if self._clock:
            parts.insert(1, _read("clock"))
        if self._order:
            parts[1:1] = [_CONSTANTS, _read("tenants"), _read("shed"), _read("order")]
        if self._full:
            parts[:0] = ["#!lua flags=allow-oom"]
        return "\n".join(parts)

    @cached_property
    def sha(self) -> str:
        """Its name in EVALSHA."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _read(name: str, folder: Path = _FOLDER) -> str:
    return (folder / f"{name}.lua").read_text("utf-8")


ACK: Final = Script("ack")
CHECKPOINT: Final = Script("checkpoint", order=False)
DEAD: Final = Script("dead")
DEAD_WHEN_FULL: Final = Script("dead", full=True)
DEPTH: Final = Script("depth")
EXTEND: Final = Script("extend", order=False, full=True)
GROUP: Final = Script("group", order=False, full=True)
HAND_BACK: Final = Script("handback")
IDENTITY: Final = Script("identity", order=False, full=True)
LEAVE: Final = Script("leave", order=False)
MAINTAIN: Final = Script("maintain", clock=True, full=True)
MINE: Final = Script("mine")
PUT: Final = Script("put")
RECLAIM: Final = Script("reclaim", clock=True, full=True)
REDRIVE: Final = Script("redrive")
RELEASE: Final = Script("release", order=False, full=True)
RETRY: Final = Script("retry")
SWEEP: Final = Script("sweep")
TAKE: Final = Script("take", full=True)
TOKENS: Final = Script("tokens", order=False, full=True)
