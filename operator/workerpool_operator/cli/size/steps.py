"""The way from a load to a number of pods, one step for each formula. Pure."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from workerpool_operator.cli import sizing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is known of the load and of a pod. Times in seconds; None: not given, and its step is left out."""

    rate: float | None = None
    """Jobs per second."""
    seconds: float | None = None
    """How long a job takes."""
    wait: float | None = None
    """How much of that it waits."""
    service: float | None = None
    """How much of that it computes."""
    cores: float | None = None
    """Of a pod."""
    slots: int | None = None
    """Jobs that a pod runs at a time."""
    utilisation: float = 0.8
    """The share of time that slots and cores may be busy: what is left takes in bursts."""
    max_wait: float | None = None
    """How long a job may wait for a slot."""
    share: float = 0.95
    """The share of jobs that have to start within `max_wait`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its formula, the same with numbers in it, and what it means."""

    name: str
    """In JSON."""
    title: str
    formula: str
    numbers: str
    value: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Answer:
    """All steps that could be made."""

    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """`values` by name of the step, and the steps themselves."""
        return {
            "values": {step.name: round(step.value, 6) for step in self.steps},
            "steps": [asdict(step) for step in self.steps],
        }


def answer(wanted: Wanted) -> Answer:
    """Work it out.

    Raises:
        ValueError: too little is known for even one step.
    """
    steps = tuple(_steps(wanted))
    if not steps:
        raise ValueError(
            "say what the load is (--rate and --job-seconds), or what a job does (--cores, --wait and --service)"
        )
    return Answer(steps)


def _steps(wanted: Wanted) -> Iterator[Step]:
    needed: float | None = None
    if wanted.rate is not None and wanted.seconds is not None:
        for step in _slots(wanted, rate=wanted.rate, seconds=wanted.seconds):
            needed = max(needed or 0.0, step.value)
            yield step
    per_pod: float | None = wanted.slots
    if wanted.cores is not None and wanted.wait is not None and wanted.service:
        step = _threads(cores=wanted.cores, wait=wanted.wait, service=wanted.service)
        per_pod = per_pod or sizing.whole(step.value)
        yield step
    cores = None
    if wanted.rate is not None and wanted.service:
        cores = _cores(wanted, rate=wanted.rate, service=wanted.service)
        yield cores
    if needed is not None and per_pod is not None:
        yield _pods(wanted, slots=sizing.whole(needed), per_pod=per_pod, cores=cores)


def _slots(wanted: Wanted, *, rate: float, seconds: float) -> Iterator[Step]:
    busy = sizing.in_work(rate=rate, seconds=seconds)
    yield Step(
        name="workers",
        title="Jobs in work at a time (Little's law)",
        formula="N = λ x W",
        numbers=f"{rate:g} jobs/s x {seconds:g} s = {busy:g}",
        value=busy,
        meaning=f"{_count(busy, 'concurrent worker')}, each of them busy all the time",
    )
    roomy = sizing.with_room(busy, utilisation=wanted.utilisation)
    yield Step(
        name="slots_with_room",
        title="Room for bursts",
        formula="N / utilisation",
        numbers=f"{busy:g} / {wanted.utilisation:g} = {roomy:g}",
        value=roomy,
        meaning=f"{_count(roomy, 'slot')}, busy {100 * wanted.utilisation:g} % of the time",
    )
    if wanted.max_wait is None:
        return
    quick = sizing.slots_for_wait(rate=rate, seconds=seconds, goal=wanted.max_wait, share=wanted.share)
    late = sizing.late_share(quick, rate=rate, seconds=seconds, goal=wanted.max_wait)
    yield Step(
        name="slots_for_wait",
        title=f"{100 * wanted.share:g} % of jobs start within {wanted.max_wait:g} s (Erlang C)",
        formula="smallest c with C(c, λW) x exp(-(c / W - λ) x t) ≤ 1 - share",
        numbers=f"c = {quick}: {100 * late:.3g} % of jobs wait longer, {100 * (1 - wanted.share):.3g} % may",
        value=quick,
        meaning=f"{_count(quick, 'slot')}, if jobs come by chance one by one; bursts need more",
    )


def _threads(*, cores: float, wait: float, service: float) -> Step:
    ratio = wait / service
    count = sizing.threads(cores=cores, wait=wait, service=service)
    return Step(
        name="threads",
        title="Jobs at a time that keep a pod's cores busy",
        formula="cores x (1 + wait / service)",
        numbers=f"{wait * 1000:g} ms / {service * 1000:g} ms = {ratio:g}; "
        f"1 + {ratio:g} = {1 + ratio:g}; {cores:g} x {1 + ratio:g} = {count:g}",
        value=count,
        meaning=f"start with {sizing.whole(count)} threads or slots in a pod, and let `wpool sweep` find the knee",
    )


def _cores(wanted: Wanted, *, rate: float, service: float) -> Step:
    busy = sizing.in_work(rate=rate, seconds=service)
    roomy = sizing.with_room(busy, utilisation=wanted.utilisation)
    return Step(
        name="cores",
        title="Cores, for what jobs compute",
        formula="λ x service / utilisation",
        numbers=f"{rate:g} jobs/s x {service:g} s / {wanted.utilisation:g} = {roomy:g}",
        value=roomy,
        meaning=f"{roomy:.3g} cores over all pods",
    )


def _pods(wanted: Wanted, *, slots: int, per_pod: float, cores: Step | None) -> Step:
    by_slots = sizing.pods(slots=slots, per_pod=per_pod)
    numbers = f"{slots} slots / {per_pod:g} in a pod = {slots / per_pod:.3g}"
    if cores is None or wanted.cores is None:
        count, limit = by_slots, "slots"
    else:
        by_cores = sizing.pods(slots=cores.value, per_pod=wanted.cores)
        numbers += f"; {cores.value:.3g} cores / {wanted.cores:g} in a pod = {cores.value / wanted.cores:.3g}"
        count, limit = max(by_slots, by_cores), "cores" if by_cores > by_slots else "slots"
    return Step(
        name="pods",
        title="Pods",
        formula="slots / slots in a pod, cores / cores in a pod: the larger one",
        numbers=numbers,
        value=count,
        meaning=f"{_count(count, 'pod')}, by their {limit}",
    )


def _count(amount: float, what: str) -> str:
    number = sizing.whole(amount)
    return f"{number} {what}" + ("" if number == 1 else "s")
