"""The last lines of workers' logs, and those that come: read with the user's own rights.

Workers that come are followed too, and those that go are let go. A browser that connects again says how far it has
come, so nothing is shown twice.
"""

import asyncio
import contextlib
import json
import zlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import aiohttp

from workerpool_operator.domain.desired import WORKER
from workerpool_operator.kube import ClusterAccess
from workerpool_operator.kube.podlog import LogError, PodLog, Want
from workerpool_operator.ui.shared import container_runs, has_log, is_stuck, why_silent
from workerpool_operator.ui.words import log_line, plain

Json = Mapping[str, Any]

MOST_PODS: Final = 8
"""Followed at a time, where all are asked for."""
FIRST_LINES: Final = 200
_MOST_WAITING: Final = 1_000
_MOST_NOTES: Final = 32
_MOST_MARKS: Final = 2 * MOST_PODS
_OF_ALL: Final = ""
"""In a position, where a pod's name stands else: what was said of all workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Who is to be followed now."""

    pods: Sequence[str]
    """Names, the most wanted first."""
    stopped: Sequence[str] = ()
    """Of those that write no more: as far as the others leave room."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Why of others nothing is shown: each is said once for what is its key."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a pod's log was shown."""

    at: datetime | None = None
    """When its last line was written."""
    note: str = ""
    """A digest of what was said since of its silence."""


def everybody(pods: Iterable[Json], refusal: str) -> Wanted:
    """All workers, the newest first, and why some that are stuck, or all of them, have written nothing. Pure.

    `refusal`: why it cannot be told who there is.
    """
    found = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    there = [pod for pod in found if has_log(pod)]
    silent = why_silent(pod for pod in found if not has_log(pod) and (is_stuck(pod) or not there))
    notes = {sentence.partition(": ")[2]: sentence for sentence in silent}
    if len(there) > MOST_PODS:
        most = f"lines of {MOST_PODS} workers at a time are shown: choose one of the others to see its lines"
        notes[most] = most
    return Wanted(
        pods=[_name(pod) for pod in there if container_runs(pod)],
        stopped=[_name(pod) for pod in there if not container_runs(pod)],
        notes=notes | ({refusal: refusal} if refusal else {}),
    )


def _name(pod: Json) -> str:
    return str(pod["metadata"]["name"])


class LogTail:
    """Of pods of a namespace. Use `running` as a context, say who is wanted by `look`, and `take` what has come."""

    def __init__(self, access: ClusterAccess, *, namespace: str, named: bool, since: str = "") -> None:
        """`named`: each line says whose it is. `since`: what `take` gave last, to go on behind that."""
        self._access = access
        self._namespace = namespace
        self._named = named
        self._marks, self._said = _read(since)
        self._begun = bool(self._marks)
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow."""
        async with self._access.watch_session() as session:
            self._session = session
            try:
                yield
            finally:
                for task in self._tasks.values():
                    task.cancel()
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def look(self, wanted: Wanted) -> None:
        """Begin with those that are new, as far as there is room for them; forget those that are gone."""
        there = {*wanted.pods, *wanted.stopped}
        for pod in [pod for pod, task in self._tasks.items() if task.done() and pod not in there]:
            del self._tasks[pod]
            self._marks.pop(pod, None)
        followed = [pod for pod, task in self._tasks.items() if not task.done()]
        new = [pod for pod in wanted.pods if self._is_new(pod)]
        lacking = len(new) - (MOST_PODS - len(followed))
        for pod in [pod for pod in followed if pod in wanted.stopped][: max(0, lacking)]:
            self._tasks[pod].cancel()
            followed.remove(pod)
        new = [*new, *(pod for pod in wanted.stopped if pod not in self._tasks)][: MOST_PODS - len(followed)]
        self._begin(new)
        for key, note in wanted.notes.items():
            self._say(key, note)

    def _is_new(self, pod: str) -> bool:
        return pod not in self._tasks or self._tasks[pod].cancelled()

    def _begin(self, pods: Sequence[str]) -> None:
        assert self._session is not None, "it runs"
        # Who comes later is shown from its first line on; those that are there share what is shown first.
        tail = FIRST_LINES if self._begun or not pods else FIRST_LINES // len(pods)
        self._begun = self._begun or bool(pods)
        for pod in pods:
            self._tasks[pod] = asyncio.create_task(self._follow(self._session, pod, tail))

    def take(self) -> tuple[list[str], str]:
        """What has come since, and how far that is. Of a flood the newest lines."""
        lines = list(self._lines)
        if self._dropped:
            lines.insert(0, f"… {self._dropped} lines left out: they come faster than they can be shown …")
        self._lines.clear()
        self._dropped = 0
        return lines, _written(self._marks, self._said)

    async def _follow(self, session: aiohttp.ClientSession, pod: str, tail: int) -> None:
        mark = f"{pod}  " if self._named else ""

        def tell(error: LogError) -> None:
            before, note = self._marks.get(pod, Mark()), _digest(str(error))
            if note != before.note:
                self._mark(pod, Mark(before.at, note))
                self._add(f"{mark}— {plain(str(error))} —")

        log = PodLog(access=self._access, session=session, namespace=self._namespace, pod=pod, container=WORKER)
        after = self._marks.get(pod, Mark()).at
        try:
            async with contextlib.aclosing(log.follow(Want(tail=tail), trouble=tell, after=after)) as lines:
                async for at, text in lines:
                    self._mark(pod, Mark(at))
                    self._add(mark + log_line(text))
        except LogError as error:
            tell(error)

    def _mark(self, pod: str, mark: Mark) -> None:
        """The one that has told last stands last."""
        self._marks.pop(pod, None)
        self._marks[pod] = mark

    def _say(self, key: str, note: str) -> None:
        if (digest := _digest(key)) not in self._said:
            self._said = (*self._said, digest)[-_MOST_NOTES:]
            self._add(f"— {plain(note)} —")

    def _add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) > _MOST_WAITING:
            self._lines.popleft()
            self._dropped += 1


def _digest(text: str) -> str:
    return f"{zlib.crc32(text.encode()):x}"


def _written(marks: Mapping[str, Mark], said: Sequence[str]) -> str:
    """A position: one line of ASCII, short enough for a header. Of pods that have told nothing there is none."""
    last = list(marks.items())[-_MOST_MARKS:]
    known = {pod: [mark.at.isoformat() if mark.at else "", mark.note] for pod, mark in last}
    if not known and not said:
        return "0"
    return json.dumps(known | {_OF_ALL: list(said)}, separators=(",", ":"))


def _read(position: str) -> tuple[dict[str, Mark], tuple[str, ...]]:
    """What `_written` wrote; of anything else nothing."""
    try:
        known = json.loads(position or "{}")
        said = tuple(str(one) for one in known.pop(_OF_ALL, ()))
        marks = {pod: Mark(_moment(at), str(note)) for pod, (at, note) in known.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}, ()
    return marks, said[-_MOST_NOTES:]


def _moment(text: str) -> datetime | None:
    found = datetime.fromisoformat(text) if text else None
    if found is not None and found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found
