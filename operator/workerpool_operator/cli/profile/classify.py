"""From measured runs to a verdict: pure. Times in seconds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workerpool.runtime.lanes import Kind

IO_SHARE: Final = 0.25
"""Below this share of CPU in service + wait a job is I/O-bound: then one core has work for four jobs and more."""
CPU_SHARE: Final = 0.75
"""Above this one it is CPU-bound: then a second job on the same core gains at most a third."""
SHORT_SECONDS: Final = 0.005
"""Less computing than this is not worth a process: to hand a job over takes about a millisecond."""
BLOCKS_SECONDS: Final = 0.1
"""To hold the event loop for so long is what the worker's own watchdog warns of."""
_MAKES_A_QUEUE: Final = 0.25
"""A coroutine that holds the loop for this share of its time lets three others run beside it, at most."""


class Bound(StrEnum):
    """What bounds a job."""

    IO = "I/O-bound"
    """It waits: many can run at a time."""
    CPU = "CPU-bound"
    """It computes: one for each core."""
    MIXED = "mixed"
    """It does both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of a handler."""

    wall: float
    cpu: float
    """Of all its threads, and of processes that it started and waited for."""
    starved: float | None
    """It could have run and had no core; None: this machine does not tell."""
    iowait: float | None
    """Share of the whole machine's CPU time that was idle because of a disk, meanwhile; None: not told."""
    sent: int
    """Bytes, through Python's sockets."""
    received: int
    held: float | None
    """The longest time in which it kept the event loop from turning; None: it does not run in one."""
    error: str = ""

    @property
    def wait(self) -> float:
        """What is left of the wall clock."""
        return max(0.0, self.wall - self.cpu - (self.starved or 0.0))

    @property
    def share(self) -> float:
        """CPU time in service + wait."""
        total = self.cpu + self.wait
        return self.cpu / total if total else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What a handler is."""

    bound: Bound
    wait: float
    service: float
    share: float
    """CPU time in service + wait: 0 to 1."""
    blocks: bool | None
    """Whether it keeps the event loop from other jobs; None: it does not run in it."""
    kind: Kind
    """Where it should run."""
    reason: str

    @property
    def seconds(self) -> float:
        """How long it takes on a machine that has a core for it."""
        return self.wait + self.service


def bound_of(share: float) -> Bound:
    """By the share of CPU time in service + wait."""
    if share < IO_SHARE:
        return Bound.IO
    return Bound.CPU if share > CPU_SHARE else Bound.MIXED


def classify(samples: Sequence[Sample], *, is_async: bool) -> Nature:
    """The medians of all runs decide, so one slow answer does not.

    Raises:
        StatisticsError: there is no sample.
    """
    wait = statistics.median(each.wait for each in samples)
    service = statistics.median(each.cpu for each in samples)
    share = statistics.median(each.share for each in samples)
    held = [each.held for each in samples if each.held is not None]
    blocks = _blocks(statistics.median(held), seconds=wait + service) if held else None
    bound = bound_of(share)
    kind, reason = _kind(bound, service=service, is_async=is_async, blocks=bool(blocks))
    return Nature(bound=bound, wait=wait, service=service, share=share, blocks=blocks, kind=kind, reason=reason)


def _blocks(held: float, *, seconds: float) -> bool:
    return held >= BLOCKS_SECONDS or (held >= SHORT_SECONDS and held >= _MAKES_A_QUEUE * seconds)


def _kind(bound: Bound, *, service: float, is_async: bool, blocks: bool) -> tuple[Kind, str]:
    here = Kind.IO if is_async and not blocks else Kind.THREAD
    if bound is Bound.IO:
        return here, _why_io(is_async=is_async, blocks=blocks)
    if service < SHORT_SECONDS:
        return here, "it computes too little to be worth a process"
    if bound is Bound.CPU:
        return Kind.CPU, "it computes: a process for each core, and no more"
    if here is Kind.IO:
        return here, "it waits and computes in turns that are short enough for the event loop"
    return Kind.CPU, "it waits and computes: a process each, or two pools, one that fetches and one that computes"


def _why_io(*, is_async: bool, blocks: bool) -> str:
    if not is_async:
        return "it waits, in a function that blocks"
    if blocks:
        return "it waits with calls that block the event loop: make it a plain function, or await"
    return "it waits, and lets the event loop turn meanwhile"
