"""What people may tell a rollout, as data: `<verb>@<hash>#<id>`, or of one step `<verb>@<hash>/<step>#<id>`.

The hash is that of the version that is meant, as the one who spoke saw it: a command that comes late must not hit the
version after. Nor the step after, where two people end the same one. The id makes it one command, however often it is
read.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

COMMAND_ANNOTATION: Final = "workerpool.dev/command"
_FORM: Final = re.compile(
    r"(?P<verb>[a-z-]+)@(?P<version>[0-9a-f]{1,64})(/(?P<step>[1-9][0-9]{0,3}))?#(?P<id>[A-Za-z0-9._-]{1,64})"
)


class Verb(StrEnum):
    """What to do."""

    PROMOTE = "promote"
    """End this step as if it had been passed; the last one by making the canary the stable version."""
    PROMOTE_FULL = "promote-full"
    """Make the canary the stable version now."""
    ABORT = "abort"
    """Go back to the stable version, and do not try this one again by itself."""
    RETRY = "retry"
    """Try a rejected version again, from the first step."""
    UNDO = "undo"
    """Go back to the version before: in a rollout as by `abort`, after one to the version that was stable before."""
    PAUSE = "pause"
    """Stay at this step's weight until `resume`. What fails still goes back."""
    RESUME = "resume"
    """Go on: after `pause`, or after a step that waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command."""

    verb: Verb
    version: str
    step: int | None = None
    """From 1, as the status has it; None: whichever it is at."""
    id: str


def parse(text: str) -> Command | None:
    """The command in an annotation's value; None if there is none in it."""
    found = _FORM.fullmatch(text)
    if found is None or found["verb"] not in set(Verb):
        return None
    step = int(found["step"]) if found["step"] else None
    return Command(verb=Verb(found["verb"]), version=found["version"], step=step, id=found["id"])


def said(command: Command) -> str:
    """The annotation's value."""
    step = "" if command.step is None else f"/{command.step}"
    return f"{command.verb}@{command.version}{step}#{command.id}"
