"""The Lua scripts, each with the shared functions before it."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Final

# Not importlib.resources: it loads tempfile, shutil and zipfile, for a package that is always a folder.
_FOLDER: Final = Path(__file__).with_name("lua")


class Script:
    """A script and the name by which Redis caches it. Read when it is first used: nobody uses all of them."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def text(self) -> str:
        """What Redis runs."""
        common, own = ((_FOLDER / f"{name}.lua").read_text("utf-8") for name in ("common", self._name))
        return common + "\n" + own

    @cached_property
    def sha(self) -> str:
        """Its name in EVALSHA."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


ACK: Final = Script("ack")
CHECKPOINT: Final = Script("checkpoint")
DEAD: Final = Script("dead")
DEPTH: Final = Script("depth")
EXTEND: Final = Script("extend")
HAND_BACK: Final = Script("handback")
LEAVE: Final = Script("leave")
MAINTAIN: Final = Script("maintain")
MINE: Final = Script("mine")
PUT: Final = Script("put")
RECLAIM: Final = Script("reclaim")
REDRIVE: Final = Script("redrive")
RETRY: Final = Script("retry")
