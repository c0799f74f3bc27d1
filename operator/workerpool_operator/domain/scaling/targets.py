"""What the pool's targets ask for, and which of them cannot say."""

from dataclasses import dataclass, replace
from typing import Final

from workerpool_operator.api import DEFAULT_DEPTH_PER_REPLICA, PredictiveMode
from workerpool_operator.domain.scaling import terms
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.inputs import Inputs
from workerpool_operator.domain.scaling.predictive import NO_READINGS, Foreseen, foresee
from workerpool_operator.domain.scaling.schedules import hours
from workerpool_operator.domain.scaling.terms import Backlog, Silence, Term

DEPTH_INTERVAL_SECONDS: Final = 15.0
"""The queueDepth target is asked at most this often, or once per pod start where that takes longer."""
NO_SERVICE_TIME: Final = "no job has ended yet that says how long jobs take"
NO_ARRIVALS: Final = "not observed for long enough to say how fast jobs come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All opinions. `history` remembers what paces them."""

    terms: tuple[Term, ...]
    silent: tuple[Silence, ...]
    history: History
    changes_in: float | None = None
    """Seconds until the clock alone changes an opinion."""
    foreseen: Foreseen | None = None
    """What a forecast asks for, whether or not that counts; None: the pool wants none."""

    @property
    def wanted(self) -> int:
        """The largest."""
        return max((term.value for term in self.terms), default=0)


def ask(inputs: Inputs, *, backlog: Backlog) -> Answers:
    """Ask each target that is set, and Little's law always.

    While those that are set all are silent, the one speaks that does when none is set: a pool that wakes knows nothing
    of its jobs but how many there are.
    """
    targets, history = inputs.rules.targets.effective(), inputs.history
    said: list[Term | Silence] = []
    if targets.queue_depth_per_replica is not None:
        said.append(terms.depth_per_replica(backlog, per_replica=targets.queue_depth_per_replica))
    if targets.queue_depth is not None:
        term, history = _paced_depth(inputs, backlog=backlog, limit=targets.queue_depth)
        said.append(term)
    if targets.job_latency_seconds is not None:
        said.append(_latency(inputs, backlog, goal=targets.job_latency_seconds))
    if targets.utilization is not None:
        said.append(_utilization(inputs, backlog, target=float(targets.utilization)))
    if targets.cpu_utilization is not None:
        said.append(_cpu(inputs, backlog, target=float(targets.cpu_utilization)))
    if all(isinstance(one, Silence) for one in said):
        said.append(terms.depth_per_replica(backlog, per_replica=DEFAULT_DEPTH_PER_REPLICA))
    said.append(_little(inputs, backlog))
    if inputs.rules.warm_replicas:
        said.append(terms.warm(backlog, idle=inputs.rules.warm_replicas, slots=inputs.slots))
    foreseen = _foreseen(inputs)
    if foreseen is not None and inputs.rules.predictive is PredictiveMode.ENABLED:
        said.append(_floor(foreseen))
    # A pool without any job is known to need nobody, whatever its targets cannot say.
    silent = (replace(one, holds=one.holds and backlog.total > 0) for one in said if isinstance(one, Silence))
    clock = ask_the_clock(inputs)
    return replace(
        clock,
        terms=(*(one for one in said if isinstance(one, Term)), *clock.terms),
        silent=(*silent, *clock.silent),
        history=history,
        foreseen=foreseen,
    )


def ask_the_clock(inputs: Inputs) -> Answers:
    """What is wanted whatever the queues hold."""
    now, said = hours(inputs.rules.schedules, wall=inputs.wall), inputs.rules.overrides
    silent = [Silence("schedules", now.trouble)] if now.trouble else []
    if said.trouble:
        silent.append(Silence("annotations", said.trouble, holds=False))
    return Answers(
        terms=(Term("schedules", now.floor),) if inputs.rules.schedules else (),
        silent=tuple(silent),
        history=inputs.history,
        changes_in=now.changes_in,
        foreseen=Foreseen(why=NO_READINGS) if inputs.rules.predictive is not PredictiveMode.DISABLED else None,
    )


def depth_interval(inputs: Inputs) -> float:
    """Seconds between two evaluations of the queueDepth target."""
    return max(DEPTH_INTERVAL_SECONDS, inputs.pod_start_seconds)


def _paced_depth(inputs: Inputs, *, backlog: Backlog, limit: int) -> tuple[Term, History]:
    """The queueDepth term, held between two evaluations: asked at every sample it would multiply itself."""
    history = inputs.history
    due = history.depth_at is None or inputs.now - history.depth_at >= depth_interval(inputs)
    if backlog.waiting > limit and not due:
        return Term("queueDepth", history.depth_value), history
    term = terms.depth(backlog, limit=limit, current=inputs.current, slots=inputs.rules.slots)
    if backlog.waiting > limit:
        return term, replace(history, depth_at=inputs.now, depth_value=term.value)
    return term, history


def _foreseen(inputs: Inputs) -> Foreseen | None:
    if inputs.rules.predictive is PredictiveMode.DISABLED:
        return None
    return foresee(
        inputs.forecast,
        seconds=inputs.traffic.service_seconds,
        slots=inputs.slots,
        utilization=float(inputs.rules.targets.utilization or 1),
        silence=NO_SERVICE_TIME,
    )


def _floor(foreseen: Foreseen) -> Term | Silence:
    """As a term. A forecast that says nothing takes nothing from what the others say."""
    if foreseen.replicas is None:
        return Silence("predictive", foreseen.why, holds=False)
    return Term("predictive", foreseen.replicas)


def _little(inputs: Inputs, backlog: Backlog) -> Term | Silence:
    traffic = inputs.traffic
    if traffic.service_seconds is None:
        return Silence("little", NO_SERVICE_TIME, holds=False)
    if traffic.arrivals is None:
        return Silence("little", NO_ARRIVALS, holds=False)
    return terms.little(backlog, arrivals=traffic.arrivals, seconds=traffic.service_seconds, slots=inputs.slots)


def _latency(inputs: Inputs, backlog: Backlog, *, goal: int) -> Term | Silence:
    name, traffic = "jobLatencySeconds", inputs.traffic
    if traffic.service_seconds is None:
        return Silence(name, NO_SERVICE_TIME)
    if traffic.arrivals is None:
        return Silence(name, NO_ARRIVALS)
    return terms.latency(
        backlog, goal=goal, arrivals=traffic.arrivals, seconds=traffic.service_seconds, slots=inputs.slots
    )


def _utilization(inputs: Inputs, backlog: Backlog, *, target: float) -> Term | Silence:
    fleet = inputs.fleet
    if inputs.current and not fleet.heard:
        return Silence("utilization", "no worker reports how busy it is")
    return terms.utilization(
        backlog, target=target, busy=fleet.busy, heard=fleet.heard, slots=inputs.slots, current=inputs.current
    )


def _cpu(inputs: Inputs, backlog: Backlog, *, target: float) -> Term | Silence:
    name, fleet, request = "cpuUtilization", inputs.fleet, inputs.rules.cpu_request
    if not request:
        return Silence(name, "the worker requests no CPU: set spec.worker.resources.requests.cpu")
    if inputs.current and not fleet.cpu_heard:
        return Silence(name, "no worker reports the CPU that it uses")
    return terms.cpu(
        backlog,
        target=target,
        cores=fleet.cpu_cores,
        request=request,
        heard=fleet.cpu_heard,
        current=inputs.current,
    )
