"""From version to version in steps: a state machine whose whole memory is one small value.

Each call takes the state as it was last stored and what is known now, and gives the next state with what happened. It
may die after any of them and be asked again: what has been decided is in the state, and what is not in the state has
not been decided. Who runs how many pods follows from the state alone (`stable`, `canary`, `weight`).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.domain.rollout.commands import Command, Verb
from workerpool_operator.domain.rollout.judge import Assessment, Cause, Verdict

REMEMBERED_REJECTIONS: Final = 10
"""Versions that were tried and failed are not tried again by themselves; the oldest is forgotten."""


class OnInconclusive(StrEnum):
    """What becomes of a canary of which nothing can be said."""

    HOLD = "Hold"
    """It stays at its weight until more is known or somebody decides."""
    PROMOTE = "Promote"
    """It goes on."""
    ROLLBACK = "Rollback"
    """It goes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One weight, and what it takes to leave it."""

    weight: int
    """Percent of the workers."""
    duration_seconds: float = 0.0
    """Measured."""
    min_jobs: int = 0
    """First attempts of the canary in this step."""
    pause: bool = False
    """Stay here until somebody says `resume`."""


DEFAULT_STEPS: Final = (
    Step(weight=10, duration_seconds=1800.0, min_jobs=200),
    Step(weight=50, duration_seconds=600.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a pool's versions follow each other."""

    steps: Sequence[Step] = DEFAULT_STEPS
    """None: the new version takes over at once."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    promote_when_idle: bool = False
    """Whether a pool that sleeps for too long to measure anything takes the new version."""
    auto_promote: bool = True
    auto_rollback: bool = True
    keep_drained_versions: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that a rollout remembers, but for the evidence."""

    stable: str = ""
    """Version that has the pool's trust. Empty: none yet."""
    canary: str = ""
    """Version that is tried. Empty: none."""
    step: int = 0
    began_seconds: float = 0.0
    """The measured clock when this step began."""
    began_jobs: float = 0.0
    """First attempts of the canary when this step began."""
    paused: bool = False
    resumed: bool = False
    """Somebody let this step's pause pass."""
    rejected: tuple[str, ...] = ()
    """Newest first."""
    kept: tuple[str, ...] = ()
    """Versions that were stable before, newest first: to one of them the way back needs no canary."""
    proven: bool = True
    """Whether a stable version has ever had a ready worker. One that never ran has earned no trust to be kept."""
    command_id: str = ""
    """Of the last command that was answered."""
    command_refused: bool = False
    """Whether it did not fit what was going on."""


class Event(StrEnum):
    """What happened to a rollout."""

    STARTED = "CanaryStarted"
    """A new version is tried."""
    SUPERSEDED = "CanarySuperseded"
    """A newer version takes the place of the canary; the stable one stays."""
    WITHDRAWN = "CanaryWithdrawn"
    """The pool asks for its stable version again."""
    STEPPED = "CanaryStepped"
    """The next step began."""
    PROMOTED = "CanaryPromoted"
    """The canary is the stable version now."""
    REJECTED = "CanaryRejected"
    """The canary goes; its version is not tried again by itself."""
    REPLACED = "VersionReplaced"
    """A version took over without a canary: the first that runs, one that was stable before, or by the pool's wish."""
    PAUSED = "RolloutPaused"
    """Somebody paused it."""
    RESUMED = "RolloutResumed"
    """Somebody let it go on."""
    REFUSED = "CommandRefused"
    """A command does not fit what is going on."""


class Wait(StrEnum):
    """Why a canary stays where it is."""

    NONE = ""
    """It does not: there is none, or it has just moved."""
    STEP = "StepRuns"
    """The step's time or jobs are not complete."""
    VERDICT = "WaitsForVerdict"
    """The last step needs a PASS."""
    PAUSE = "Paused"
    """By the step, or by hand."""
    PROMOTION = "WaitsForPromotion"
    """It passed, and people decide."""
    ABORTION = "WaitsForAbortion"
    """It failed, and people decide."""
    OUTAGE = "Outage"
    """Both versions are in trouble."""
    UNMEASURED = "Unmeasured"
    """Nothing can be measured."""
    SEAT = "WaitsForSeat"
    """It has no worker: the pool's budget has no free seat for one."""
    ROOM = "WaitsForRoom"
    """It has no worker: others that are to go finish their jobs first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is known at this moment."""

    target: str
    """Version that the pool asks for."""
    total: int
    """Workers that the pool is brought to."""
    stable_ready: bool = True
    """Whether a worker of the stable version is ready."""
    assessment: Assessment = field(default_factory=lambda: Assessment(verdict=Verdict.INCONCLUSIVE))
    measured_seconds: float = 0.0
    """The evidence's clock."""
    jobs: float = 0.0
    """First attempts of the canary, of all its steps."""
    command: Command | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The next state."""

    state: State
    events: tuple[Event, ...] = ()
    wait: Wait = Wait.NONE
    fresh: bool = False
    """Evidence begins anew: another canary, or none."""

    def without_worker(self, why: Wait) -> "Outcome":
        """The same of a canary that is to have a worker and cannot. What people have to decide is said first."""
        by_itself = {Wait.NONE, Wait.STEP, Wait.VERDICT, Wait.ROOM}
        return replace(self, wait=why) if self.wait in by_itself else self


def weight(state: State, policy: Policy) -> int:
    """Percent of the workers that run the canary now."""
    return policy.steps[min(state.step, len(policy.steps) - 1)].weight if state.canary and policy.steps else 0


def lasts(state: State, policy: Policy) -> float:
    """Seconds for which the step has to be measured, by its own word: infinite where it waits for `resume`."""
    if not (state.canary and policy.steps):
        return 0.0
    step = policy.steps[min(state.step, len(policy.steps) - 1)]
    return math.inf if step.pause and not state.resumed else step.duration_seconds


def advance(state: State, now: Now, policy: Policy) -> Outcome:
    """What follows. Order: what is asked for, what people say, what the judge says, what the clock says."""
    outcome = _follow_target(replace(state, proven=state.proven or now.stable_ready), now, policy)
    command = now.command
    if command is not None and command.id != state.command_id:
        # What was said of a version is weighed against what is known of it, and not in the look that it came in.
        answered = _obey(outcome.state, command, now, policy)
        refused = Event.REFUSED in answered.events
        state = replace(answered.state, command_id=command.id, command_refused=refused)
        return replace(
            answered, state=state, events=outcome.events + answered.events, fresh=outcome.fresh or answered.fresh
        )
    if outcome.events or not outcome.state.canary:
        return outcome
    return _judge(outcome.state, now, policy)


def _follow_target(state: State, now: Now, policy: Policy) -> Outcome:
    """What the pool asks for, against what it has."""
    if now.target == state.canary:
        return Outcome(state=state) if policy.steps else _promoted(state, policy, Event.REPLACED)
    if now.target == state.stable:
        return Outcome(state=state) if not state.canary else _ended(state, Event.WITHDRAWN)
    if now.target in state.rejected:
        return Outcome(state=state) if not state.canary else _ended(state, Event.WITHDRAWN)
    if not (state.stable and state.proven and policy.steps) or now.target in state.kept:
        return _promoted(replace(state, canary=now.target), policy, Event.REPLACED)
    event = Event.SUPERSEDED if state.canary else Event.STARTED
    return Outcome(state=_begun(state, now.target), events=(event,), fresh=True)


def _obey(state: State, command: Command, now: Now, policy: Policy) -> Outcome:
    ended = state.canary and command.step is not None and command.step != state.step + 1
    if ended or command.version != (state.canary or now.target):
        return Outcome(state=state, events=(Event.REFUSED,))
    return _obey_within(state, command, now, policy) if state.canary else _obey_between(state, command, now, policy)


def _obey_within(state: State, command: Command, now: Now, policy: Policy) -> Outcome:
    """What is said of a canary."""
    match command.verb:
        case Verb.PROMOTE:
            return _next(state, now, policy)
        case Verb.PROMOTE_FULL:
            return _promoted(state, policy)
        case Verb.PAUSE:
            return Outcome(state=replace(state, paused=True), events=(Event.PAUSED,), wait=Wait.PAUSE)
        case Verb.RESUME:
            return Outcome(state=replace(state, paused=False, resumed=True), events=(Event.RESUMED,))
        case Verb.RETRY:
            return Outcome(state=state, events=(Event.REFUSED,))
    return _rejected(state)


def _obey_between(state: State, command: Command, now: Now, policy: Policy) -> Outcome:
    """What is said while no canary runs."""
    if command.verb is Verb.RETRY and now.target in state.rejected:
        tried = replace(state, rejected=tuple(one for one in state.rejected if one != now.target))
        return Outcome(state=_begun(tried, now.target), events=(Event.STARTED,), fresh=True)
    if command.verb is Verb.UNDO and state.kept and now.target == state.stable:
        return _undone(state, now, policy)
    return Outcome(state=state, events=(Event.REFUSED,))


def _undone(state: State, now: Now, policy: Policy) -> Outcome:
    """Back to the version before, at once: it had the pool's trust. What the pool asks for is not tried again."""
    undone = replace(state, canary=state.kept[0])
    outcome = _promoted(undone, policy, Event.REPLACED)
    kept = tuple(one for one in outcome.state.kept if one != now.target)
    return replace(outcome, state=_remembering(replace(outcome.state, kept=kept), now.target))


def _judge(state: State, now: Now, policy: Policy) -> Outcome:
    """What the evidence says, and the clock."""
    said = now.assessment
    if said.verdict is Verdict.FAIL:
        return _rejected(state) if policy.auto_rollback else Outcome(state=state, wait=Wait.ABORTION)
    if said.holds:
        return Outcome(state=state, wait=Wait.OUTAGE)
    step = policy.steps[min(state.step, len(policy.steps) - 1)]
    if state.paused or (step.pause and not state.resumed):
        return Outcome(state=state, wait=Wait.PAUSE)
    if said.cause is Cause.UNMEASURED:
        return _unmeasured(state, now, policy)
    return _by_clock(state, step, now, policy)


def _by_clock(state: State, step: Step, now: Now, policy: Policy) -> Outcome:
    # Evidence that was lost begins at 0 again, and so does the step.
    seconds, jobs = state.began_seconds, state.began_jobs
    if now.measured_seconds < seconds or now.jobs < jobs:
        seconds, jobs = 0.0, 0.0
    if now.measured_seconds - seconds < step.duration_seconds or now.jobs - jobs < step.min_jobs:
        return Outcome(state=state, wait=Wait.STEP)
    if state.step < len(policy.steps) - 1:
        return _next(state, now, policy)
    if now.assessment.verdict is Verdict.PASS:
        return _promoted(state, policy) if policy.auto_promote else Outcome(state=state, wait=Wait.PROMOTION)
    return _inconclusive(state, policy, wait=Wait.VERDICT)


def _unmeasured(state: State, now: Now, policy: Policy) -> Outcome:
    """A pool that sleeps measures nothing, and that is no sign of anything."""
    if now.total > 0:
        return _inconclusive(state, policy, wait=Wait.UNMEASURED)
    return _promoted(state, policy) if policy.promote_when_idle else Outcome(state=state, wait=Wait.UNMEASURED)


def _inconclusive(state: State, policy: Policy, *, wait: Wait) -> Outcome:
    match policy.on_inconclusive:
        case OnInconclusive.PROMOTE:
            return _promoted(state, policy) if policy.auto_promote else Outcome(state=state, wait=Wait.PROMOTION)
        case OnInconclusive.ROLLBACK:
            return _rejected(state) if policy.auto_rollback else Outcome(state=state, wait=Wait.ABORTION)
    return Outcome(state=state, wait=wait)


def _next(state: State, now: Now, policy: Policy) -> Outcome:
    if state.step >= len(policy.steps) - 1:
        return _promoted(state, policy)
    stepped = replace(
        state,
        step=state.step + 1,
        began_seconds=now.measured_seconds,
        began_jobs=now.jobs,
        paused=False,
        resumed=False,
    )
    return Outcome(state=stepped, events=(Event.STEPPED,))


def _begun(state: State, version: str) -> State:
    """At the first step, whatever there was before."""
    return replace(state, canary=version, step=0, began_seconds=0.0, began_jobs=0.0, paused=False, resumed=False)


def _ended(state: State, event: Event) -> Outcome:
    return Outcome(state=_begun(state, ""), events=(event,), fresh=True)


def _promoted(state: State, policy: Policy, event: Event = Event.PROMOTED) -> Outcome:
    new, old = state.canary, state.stable
    kept = tuple(one for one in (old, *state.kept) if one and one != new)[: policy.keep_drained_versions]
    rejected = tuple(one for one in state.rejected if one != new)
    promoted = replace(_begun(state, ""), stable=new, kept=kept, rejected=rejected)
    return Outcome(state=promoted, events=(event,), fresh=True)


def _rejected(state: State) -> Outcome:
    return _ended(_remembering(state, state.canary), Event.REJECTED)


def _remembering(state: State, version: str) -> State:
    others = tuple(one for one in state.rejected if one != version)
    return replace(state, rejected=(version, *others)[:REMEMBERED_REJECTIONS])


def dump_state(state: State) -> dict[str, Any]:
    """As JSON."""
    return asdict(state)


def load_state(stored: Any) -> State | None:
    """What was stored; None if it is not understood.

    Another release may have stored it, before an upgrade or a way back: what it did not know has its default, and what
    is not known here is passed over. Only which version has the pool's trust has to be there.
    """
    known = {one.name: one.default for one in fields(State)}
    try:
        found = known | {name: stored[name] for name in known.keys() & stored.keys()}
        return State(
            stable=str(stored["stable"]),
            canary=str(found["canary"]),
            step=int(found["step"]),
            began_seconds=float(found["began_seconds"]),
            began_jobs=float(found["began_jobs"]),
            paused=bool(found["paused"]),
            resumed=bool(found["resumed"]),
            rejected=tuple(map(str, found["rejected"])),
            kept=tuple(map(str, found["kept"])),
            proven=bool(found["proven"]),
            command_id=str(found["command_id"]),
            command_refused=bool(found["command_refused"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
