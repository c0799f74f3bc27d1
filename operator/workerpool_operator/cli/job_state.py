"""What has become of a job, from what running workers, dead letters and lines of logs say of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from workerpool.telemetry.fates import BURIED, DONE, DONE_LATE, FAILED, LEASE_LOST, SENT_BACK
from workerpool_operator.cli.logs.lines import Choice, Line

Json = Mapping[str, Any]


class State(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DEAD = "dead"
    """Among the dead letters, or, where these cannot be asked, put there by the last that was logged of it."""
    DONE = "done"
    RETRIED = "to be retried"
    """Its last attempt that is known of failed, and nothing is known of another one yet."""
    STARTED = "started"
    """An attempt has begun, and how it ended is not known: workers log it where it ends badly."""
    UNKNOWN = "unknown"


_ENDS: Final = {
    DONE: State.DONE,
    DONE_LATE: State.DONE,
    FAILED: State.RETRIED,
    SENT_BACK: State.RETRIED,
    LEASE_LOST: State.RETRIED,
    BURIED: State.DEAD,
}
"""How an attempt ended, by the event that workers on the SDK log of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of a job; empty where it is not."""

    job_id: str
    state: State
    by: str
    """How that is known."""
    type: str = ""
    attempt: int | None = None
    version: str = ""
    worker: str = ""
    queue: str = ""
    last_error: str = ""
    at: str = ""
    """RFC 3339: when it was so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What all who can know of it have said, and who could not be asked."""

    running: Sequence[Json] = ()
    """Dumps of workers."""
    letters: Sequence[Json] = ()
    lines: Sequence[Line] = ()
    """In the order of time."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Why it is not known: "running", "letters" or "lines" -> a sentence's part."""
    of_gone: bool = False
    """There are lines of workers that are gone, too."""


def told(job: str, seen: Seen) -> Found:
    """What follows from it all: what is now counts more than what was logged, unless that came later."""
    about = [line for line in seen.lines if Choice(job_id=job).wants(line)]
    last = _last_end(about)
    failed = next((line for line in reversed(about) if _said(line).get("error")), None)
    error = str(_said(failed)["error"]) if failed else ""
    done = last if last is not None and _ENDS.get(_event(last)) is State.DONE else None
    if (found := _running(job, seen.running)) is not None:
        return replace(found, last_error=error)
    if (found := _dead(job, seen.letters, after=done.at if done else None)) is not None:
        return found
    if last is not None and not _begun_since(about, last):
        return _ended(job, last, error=error, unseen=seen.unseen)
    if about:
        newest = about[-1]
        known = [line for line in about if _attempt(line) is not None]
        attempt = _attempt(known[-1]) if known else None
        why = f"a worker logged: {_event(newest) or newest.text[:100]}. {_nowhere(seen, _HOW_IT_ENDED)}"
        return _of(job, newest, state=State.STARTED, by=why, attempt=attempt, error=error)
    nobody = "no worker has logged anything of it" if seen.of_gone else _NOBODY_THERE
    return Found(job_id=job, state=State.UNKNOWN, by=_nowhere(seen, nobody))


_NOBODY_THERE: Final = "no worker that is there has logged anything of it (--loki asks for those that are gone)"
_HOW_IT_ENDED: Final = "nobody has logged how the attempt ended: one that goes well says nothing"


def _nowhere(seen: Seen, of_lines: str) -> str:
    """Where it was looked for in vain, and where it could not be looked for."""
    parts = {
        "running": ("no worker runs it", "whether a worker runs it is not known"),
        "letters": ("it is no dead letter", "whether it is a dead letter is not known"),
        "lines": (of_lines, "what was logged of it is not all known"),
    }
    return "; ".join(
        f"{unknown}: {seen.unseen[name]}" if name in seen.unseen else known for name, (known, unknown) in parts.items()
    )


def _last_end(about: Sequence[Line]) -> Line | None:
    """The newest line that tells how an attempt ended; of those of one moment, the one that says it is done.

    Where no worker on the SDK says so, an error that was logged is taken for the end of its attempt.
    """
    ends = [line for line in about if _event(line) in _ENDS]
    if not ends:
        return next((line for line in reversed(about) if _said(line).get("error")), None)
    return max(ends, key=lambda line: (line.at, _ENDS[_event(line)] is State.DONE))


def _begun_since(about: Sequence[Line], last: Line) -> bool:
    """Whether a later attempt than the one that ended so has logged something."""
    ended, done = _attempt(last), _ENDS.get(_event(last)) is State.DONE
    for line in about[about.index(last) + 1 :]:
        attempt = _attempt(line)
        # A handler may go on for a moment after its attempt was given up; after a redrive attempts count anew.
        if attempt is not None and ended is not None and (attempt > ended if done else attempt != ended):
            return True
    return False


def _ended(job: str, last: Line, *, error: str, unseen: Mapping[str, str]) -> Found:
    state = _ENDS.get(_event(last), State.RETRIED)
    why = f"a worker logged: {_event(last)}"
    if state is State.RETRIED:
        why += ". Nothing of a later attempt is known"
    if state is State.DEAD and "letters" not in unseen:
        why, state = f"{why}. It is no dead letter any more: it waits again, or was deleted", State.UNKNOWN
    elif state is State.DEAD:
        why += f". Whether it still is a dead letter is not known: {unseen['letters']}"
    elif "running" in unseen and state is State.RETRIED:
        why += f"; whether a worker runs it now is not known: {unseen['running']}"
    return _of(job, last, state=state, by=why, attempt=_attempt(last), error=error)


def _of(job: str, line: Line, *, state: State, by: str, attempt: int | None, error: str) -> Found:
    said = _said(line)
    return Found(
        job_id=job, state=state, by=by, type=str(said.get("job_type", "")), attempt=attempt, version=line.version,
        worker=line.worker, queue=str(said.get("queue", "")), last_error=error, at=line.at.isoformat(),
    )  # fmt: skip


def _running(job: str, dumps: Iterable[Json]) -> Found | None:
    for dump in dumps:
        for one in dump.get("jobs") or ():
            if str(one.get("job_id", "")) == job:
                process = dump.get("process") or {}
                return Found(
                    job_id=job, state=State.RUNNING, by="its worker says so", type=str(one.get("type", "")),
                    attempt=one.get("attempt"), version=str(process.get("version", "")),
                    worker=str(process.get("worker", "")), queue=str(one.get("queue", "")),
                )  # fmt: skip
    return None


def _dead(job: str, letters: Iterable[Json], *, after: datetime | None) -> Found | None:
    for letter in letters:
        died = datetime.fromtimestamp(letter["died_at"], UTC) if letter.get("job_id") == job else None
        # One of that name may have come after it, and been done.
        if died is not None and (after is None or died > after):
            return Found(
                job_id=job, state=State.DEAD, by=f"it is a dead letter: {letter['reason']}",
                type=str(letter["type"]), attempt=letter["attempts"], version=str(letter["version"]),
                worker=str(letter["worker"]), queue=str(letter["queue"]), last_error=str(letter["error"]),
                at=died.isoformat(),
            )  # fmt: skip
    return None


def _said(line: Line) -> Json:
    return line.fields or {}


def _event(line: Line) -> str:
    return str(_said(line).get("event", ""))


def _attempt(line: Line) -> int | None:
    attempt = _said(line).get("attempt")
    return attempt if isinstance(attempt, int) and not isinstance(attempt, bool) else None
