"""What can be found, why it matters, and what to write instead."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Rule(StrEnum):
    """What can be found; the value is what `# wpool: ignore[...]` names."""

    UNBOUNDED_GATHER = "unbounded-gather"
    """`gather` over as many coroutines as there happen to be."""
    UNBOUNDED_TASKS = "unbounded-tasks"
    """A task for each turn of a loop, and nothing that bounds them."""
    MISSING_TIMEOUT = "missing-timeout"
    """A call that can wait for ever, or nearly."""
    BLOCKING_CALL = "blocking-call"
    """A call that blocks, in the event loop."""
    DROPPED_TASK = "dropped-task"
    """A task that nobody holds."""
    LOCK_OVER_NETWORK = "lock-over-network"
    """A lock that is held while somebody else's server is waited for."""


class Advice(NamedTuple):
    """What holds for all findings of a rule."""

    why: str
    instead: str


ADVICE: Final = {
    Rule.UNBOUNDED_GATHER: Advice(
        "all of them run at once: beyond the knee of what they call, each takes longer and throughput falls",
        "bound them: `async with semaphore` in the coroutine, or gather over `itertools.batched(items, 8)`; "
        "`wpool sweep` finds the number",
    ),
    Rule.UNBOUNDED_TASKS: Advice(
        "tasks are made faster than they end: memory grows, and what they call is overrun",
        "`async with semaphore` in the coroutine, `await semaphore.acquire()` before each task, or a fixed number of "
        "tasks that take from an `asyncio.Queue(maxsize=...)`",
    ),
    Rule.MISSING_TIMEOUT: Advice(
        "one peer that does not answer keeps a slot for ever: soon all of them",
        "give it a timeout of some twice the p99 that you expect",
    ),
    Rule.BLOCKING_CALL: Advice(
        "nothing else runs in the event loop meanwhile: other jobs, heartbeats, leases",
        'use an asynchronous library, `await asyncio.to_thread(...)`, or `kind="thread"` for the whole handler',
    ),
    Rule.DROPPED_TASK: Advice(
        "the event loop keeps weak references only: the task may vanish half-way, and its exception is never seen",
        "keep it and await it, or use `async with asyncio.TaskGroup()`",
    ),
    Rule.LOCK_OVER_NETWORK: Advice(
        "all others wait for the network too: one slow answer stops everything that needs the lock",
        "fetch before the lock and hold it only to store the result; to bound calls, use a semaphore or "
        "`worker.endpoint(...)`",
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    rule: Rule
    what: str
    last_line: int = 0
    """Of the expression, where a comment may stand too."""

    @property
    def advice(self) -> Advice:
        """Why it matters, and what to write instead."""
        return ADVICE[self.rule]

    def to_json(self) -> dict[str, str | int]:
        """For machines."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "rule": self.rule.value,
            "what": self.what,
            "why": self.advice.why,
            "instead": self.advice.instead,
        }

    def to_text(self) -> str:
        """For people, in the form that editors find the place by."""
        head = f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.what}"
        return f"{head}\n    why: {self.advice.why}\n    instead: {self.advice.instead}"

    def to_github(self) -> str:
        """A workflow command, which GitHub shows at the line of the change.

        Docs: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
        """
        place = f"file={_property(self.file)},line={self.line},col={self.column}"
        text = _data(f"{self.what}\nWhy: {self.advice.why}\nInstead: {self.advice.instead}")
        return f"::warning {place},title=wpool check {self.rule}::{text}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
