"""How far a pool's new version is, in sentences: the phase, the verdict with its figures, what it waits for. Pure.

Everything is from the status, as the operator wrote it. What the words of the operator mean is in their docstrings.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from workerpool_operator.api.docs import member_docs
from workerpool_operator.cli.get.rows import condition
from workerpool_operator.cli.hints import where
from workerpool_operator.domain.rollout.judge import Cause
from workerpool_operator.domain.rollout.steps import State, Wait, load_state

Json = Mapping[str, Any]

_TOLERATE, _REJECT, _RATE = "1.25", "3", "0.01"


class Phase(StrEnum):
    """What a rollout is doing."""

    TRYING = "Trying"
    """A new version is tried by a part of the workers."""
    PAUSED = "Paused"
    """The same, and it stays at its step until somebody says `resume`."""
    REJECTED = "Rejected"
    """What the pool asks for was tried, and went."""
    STABLE = "Stable"
    """The stable version runs, and it is the one that the pool asks for."""
    REPLACING = "Replacing"
    """Another version takes over without a canary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A rollout, for people. Empty: there is nothing to say of it."""

    phase: Phase
    said: str
    """Which version, at which step, with which share of the work."""
    verdict: str = ""
    """With the criterion that it follows from."""
    figures: tuple[str, ...] = ()
    """By which it was found."""
    decides: str = ""
    """What would decide it."""
    missing: tuple[str, ...] = ()
    """What this step still takes."""
    waits: str = ""
    """What it waits for."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything, a sentence each."""
        missing = f"this step still takes {' and '.join(self.missing)}" if self.missing else ""
        waits = f"waits: {self.waits}" if self.waits else ""
        found = (self.said, self.verdict, *self.figures, self.decides, missing, waits)
        return tuple(line for line in found if line)


def canary_of(pool: Json, *, context: str | None = None) -> Canary | None:
    """None where versions take over without a canary, or the operator has said nothing yet.

    `context`: the one that was named for the cluster, for commands that a sentence names.
    """
    said: Json = (pool.get("status") or {}).get("rollout") or {}
    if not said:
        return None
    return _tried(pool, said) if said.get("canary") else _between(pool, said, context)


def _between(pool: Json, said: Json, context: str | None) -> Canary:
    stable, wanted = str(said.get("stable") or ""), str(said.get("wanted") or "")
    if wanted and wanted in (said.get("rejected") or ()):
        healthy = condition(pool, "CanaryHealthy")
        why = str(healthy.get("message") or "") if healthy.get("reason") == "CanaryRejected" else ""
        told = f"version {wanted}, which the pool asks for, was tried and rejected; {stable} runs"
        here = where(namespace=pool["metadata"].get("namespace"), context=context)
        retry = f"wpool rollout retry {pool['metadata']['name']}{here}"
        return Canary(
            phase=Phase.REJECTED,
            said=told,
            verdict=why,
            waits=f"another version, or {retry}: it is not tried again by itself",
        )
    if wanted and wanted != stable:
        return Canary(
            phase=Phase.REPLACING, said=f"version {wanted} takes over from {stable or 'none'} without a canary"
        )
    return Canary(phase=Phase.STABLE, said=f"version {stable} is the stable one; no other is tried")


def _tried(pool: Json, said: Json) -> Canary:
    spec: Json = (pool.get("spec") or {}).get("rollout") or {}
    steps = spec.get("steps") or ()
    wait = str(said.get("wait") or "")
    return Canary(
        phase=Phase.PAUSED if wait == Wait.PAUSE else Phase.TRYING,
        said=_where(said, len(steps)),
        verdict=_verdict(said),
        figures=tuple(_figures(said)),
        decides=_decides(said, spec.get("analysis") or {}),
        missing=tuple(_missing(said, steps)),
        waits=_meant(wait, Wait) if wait else "",
    )


def _where(said: Json, steps: int) -> str:
    step = f"step {said.get('step', 0)}" + (f" of {steps}" if steps else "")
    shares = [
        f"{said[field]} of the {what}"
        for field, what in (("podShare", "workers"), ("jobShare", "jobs"))
        if said.get(field)
    ]
    now = f" (now {', '.join(shares)})" if shares else ""
    tried = f"version {said['canary']} is tried beside {said.get('stable') or 'none'}"
    return f"{tried}: {step}, {said.get('weight', 0)} % of the workers{now}"


def _verdict(said: Json) -> str:
    verdict, cause = str(said.get("verdict") or "none yet"), str(said.get("cause") or "")
    return f"verdict {verdict}" + (f" by {_meant(cause, Cause)}" if cause else "")


def _figures(said: Json) -> Iterator[str]:
    jobs, failures = said.get("jobs") or 0, said.get("failures") or 0
    signal = str(said.get("signal") or "failures")
    if said.get("ratio"):
        yield f"{signal}: {said['ratio']} times the stable version's rate{_interval(said)}"
    elif said.get("ratioLow") not in {None, "", "0"}:
        yield f"{signal}: more than {said['ratioLow']} times the stable version's rate (95 %), which had none"
    measured = f"both versions measured for {said.get('measuredSeconds') or 0} s"
    yield f"{failures} of {jobs} first attempts of the canary failed, {measured}"
    if found := said.get("minimumDetectableRatio"):
        yield f"by now {found} times the stable version's rate would have been found"
    for one in said.get("objectives") or ():
        misses = (
            f"{one.get('canary') or 'none'} of the canary's jobs miss it, {one.get('stable') or 'none'} of the stable"
        )
        yield f"objective {one.get('name')}: {misses}; {one.get('allowed')} may"


def _interval(said: Json) -> str:
    low, high = said.get("ratioLow"), said.get("ratioHigh")
    if not low and not high:
        return ""
    return f" (95 % interval: {low or 0} to {high or 'no limit'})"


def _decides(said: Json, analysis: Json) -> str:
    """What turns Inconclusive into a verdict; nothing where there is one."""
    if said.get("verdict") != "Inconclusive":
        return ""
    passes, fails = analysis.get("rejectRatio", _REJECT), analysis.get("tolerateRatio", _TOLERATE)
    rate = analysis.get("acceptableFailureRate", _RATE)
    return f"it passes when shown to be below {passes} times, or below a rate of {rate}; it fails above {fails} times"


def _missing(said: Json, steps: Any) -> Iterator[str]:
    """Of this step. Evidence that was lost begins at 0 again, and so does the step."""
    number = int(said.get("step") or 0)
    if not 0 < number <= len(steps):
        return
    step, state = steps[number - 1], _state(said)
    seconds, jobs = float(said.get("measuredSeconds") or 0), float(said.get("jobs") or 0)
    if seconds < state.began_seconds or jobs < state.began_jobs:
        state = State()
    if (left := step.get("minJobs", 0) - (jobs - state.began_jobs)) > 0:
        yield f"{left:.0f} jobs"
    if (left := step.get("durationSeconds", 0) - (seconds - state.began_seconds)) > 0:
        yield f"{left:.0f} s of measuring"


def _state(said: Json) -> State:
    """What the operator remembers of the rollout; that of a first step where it cannot be read."""
    try:
        return load_state(json.loads(str(said.get("memory") or "{}")).get("state")) or State()
    except (AttributeError, ValueError):
        return State()


def _meant(word: str, of: type[StrEnum]) -> str:
    """A word of the operator's with what it means; one of another release as it is."""
    member = next((one for one in of if one.value == word), None)
    if member is None:
        return word
    meaning = " ".join(_meanings(of).get(member.name, "").split())
    return f"{word}: {meaning[:1].lower()}{meaning[1:]}".rstrip(".") if meaning else word


@cache
def _meanings(of: type[StrEnum]) -> Mapping[str, str]:
    """From the source, which is read once: a tree is drawn twice a second."""
    return member_docs(of)
