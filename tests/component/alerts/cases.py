"""What pools go through, as Prometheus sees it, and which alerts come of it. The pool `thumbs` in `media` wants 100."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Final

from tests.component.alerts.promtool import Case, Firing, Labels, Series, Values

POOL: Final = {"namespace": "media", "pool": "thumbs"}
HEARTBEAT: Final = {**POOL, "severity": "critical"}
DEPTH: Final = {**POOL, "severity": "warning"}
PERIOD: Final = 10
"""Seconds between two heartbeats."""
ALWAYS: Final = range(10**6)
QUIET: Final[Sequence[Labels]] = ()


def minutes(number: float) -> int:
    return round(number * 60)


# Heartbeats


def worker(
    name: str, *, seen: Container[int] = ALWAYS, beats_until: int = 10**6, phase: int = 0, **labels: str
) -> Series:
    """A worker that is scraped while `seen`, and beats every 10 s, `phase` seconds after the full ones."""

    def values(now: int) -> float | None:
        if now not in seen:
            return None
        return (min(now, beats_until) - phase) // PERIOD * PERIOD + phase

    own = {"pod": name, "container": "worker", "job": "workerpool", "version": "0123abcd"}
    return Series(metric="worker_heartbeat_unixtime", labels=POOL | own | labels, values=values)


def workers(count: int, *, seen: range = ALWAYS) -> Iterator[Series]:
    """Healthy workers whose heartbeats are spread over the period."""
    for number in range(count):
        yield worker(f"w{number}", seen=seen, phase=number % PERIOD)


def expected(values: Values, *, collector: str = "c0") -> Series:
    labels = {"pod": collector, "container": "collector", "job": "workerpool"}
    return Series(metric="pool_workers_expected", labels=POOL | labels, values=values)


def steps(*changes: tuple[int, float | None]) -> Values:
    """A value that changes at these moments; the first is from the beginning on."""

    def values(now: int) -> float | None:
        return next(value for since, value in reversed(changes) if now >= since)

    return values


def heartbeats(*series: Series, firing: Firing, seconds: int = minutes(15)) -> Case:
    return Case(series=series, seconds=seconds, alert="WorkerHeartbeatMissing", firing=firing)


def silent(seconds: int) -> dict[int, Sequence[Labels]]:
    """Nothing at any minute."""
    return dict.fromkeys(range(0, seconds + 1, 60), QUIET)


LOST: Final = range(minutes(5))
"""A worker that is there for five minutes, and then no more."""
CRASHES: Final = {*LOST, *(minutes(5) + after for after in (10, 80, 330))}
"""A worker that ends after five minutes, and is back for some seconds after each wait of the kubelet: 10, 20, 40 s and
so on. Some of these times it is scraped."""
HANGS: Final[Firing] = {
    minutes(5): QUIET,
    minutes(8): [HEARTBEAT | {"pod": "w2"}],
    minutes(15): [HEARTBEAT | {"pod": "w2"}],
}
MISSED: Final[Firing] = {minutes(5): QUIET, minutes(5.5): QUIET, minutes(8): [HEARTBEAT], minutes(15): [HEARTBEAT]}
THREE: Final = expected(steps((0, 3)))
TWO_OPERATORS: Final = [
    Series(metric=name, labels=POOL | {"pod": pod, "job": "workerpool-operator"}, values=steps((0, value)))
    for name in ("workerpool_desired_replicas", "workerpool_replicas")
    for pod, value in (("o0", 3), ("o1", 50))
]


def replaced_pod() -> list[Series]:
    """Its container ends, it is deleted 10 s later, and another is scraped 30 s after that."""
    gone, back = minutes(5), minutes(5) + 40
    return [
        *workers(2),
        worker("w2", seen=range(gone)),
        worker("w3", seen=range(back, minutes(15) + 1)),
        expected(steps((0, 3), (gone + 10, 2), (back + 20, 3))),
    ]


def growing() -> list[Series]:
    """For ten minutes a worker more every 10 s; each is scraped 20 s after it is ready, and expected after 30."""
    scraped = [worker(f"w{n}", seen=range(10 * n + 20, minutes(15) + 1), phase=n % PERIOD) for n in range(60)]
    return [*scraped, expected(lambda now: max(0, min(60, (now - 30) // 10)))]


def scale_in() -> list[Series]:
    """From ten to three; those that go are deleted at once, and are scraped until they have drained."""
    going = (worker(f"gone{n}", seen=range(minutes(5) + 20 * n), phase=n) for n in range(7))
    return [*workers(3), *going, expected(steps((0, 10), (minutes(5), 3)))]


def new_version() -> list[Series]:
    """Three workers are replaced one by one: one is ready, and 10 s later an old one is deleted and drains."""
    starts = [minutes(5) + 40 * number for number in range(3)]
    old = (worker(f"w{number}", seen=range(start + 25), phase=number) for number, start in enumerate(starts))
    new = (
        worker(f"n{number}", seen=range(start + 20, minutes(15) + 1), version="4567ef01")
        for number, start in enumerate(starts)
    )
    changes = [change for start in starts for change in ((start + 10, 2), (start + 30, 3))]
    return [*old, *new, expected(steps((0, 3), *changes))]


def to_zero_and_back() -> list[Series]:
    """A pool that sleeps from the fifth to the tenth minute."""
    awake, again = workers(2, seen=range(minutes(5))), range(minutes(10), minutes(15) + 1)
    woken = (worker(f"n{number}", seen=again, phase=number) for number in range(2))
    return [*awake, *woken, expected(steps((0, 2), (minutes(5), 0), (minutes(10.5), 2)))]


HEARTBEATS: Final[dict[str, Case]] = {
    "healthy": heartbeats(*workers(3), THREE, firing=silent(minutes(15))),
    "healthy and scraped just before each heartbeat": heartbeats(
        *(worker(f"w{number}", phase=1) for number in range(3)), THREE, firing=silent(minutes(15))
    ),
    "one hangs and still answers": heartbeats(*workers(2), worker("w2", beats_until=minutes(5)), THREE, firing=HANGS),
    "one is frozen": heartbeats(*workers(2), worker("w2", seen=LOST), THREE, firing=MISSED),
    "all are lost": heartbeats(*workers(3, seen=LOST), THREE, firing=MISSED),
    "a node is lost, and its pods are given up after five minutes": heartbeats(
        *workers(1),
        worker("w1", seen=LOST),
        worker("w2", seen=LOST),
        expected(steps((0, 3), (minutes(10.5), 1))),
        firing={minutes(5): QUIET, minutes(8): [HEARTBEAT], minutes(10): [HEARTBEAT], minutes(12): QUIET},
    ),
    "a node is lost, and the collector with it": heartbeats(
        *workers(2),
        worker("w2", seen=LOST),
        expected(steps((0, 3), (minutes(5), None))),
        # It is moved after a minute, and expects whom it finds after 30 s.
        expected(steps((0, None), (minutes(6), 0), (minutes(6.5), 3)), collector="c1"),
        firing={minutes(5): QUIET, minutes(9): [HEARTBEAT], minutes(15): [HEARTBEAT]},
    ),
    "a container ends and comes back": heartbeats(
        *workers(2),
        worker("w2", seen=range(minutes(5))),
        worker("w2", seen=range(minutes(5) + 40, minutes(15) + 1), version="4567ef01"),
        THREE,
        firing=silent(minutes(15)),
    ),
    "a container crashes and does not come back": heartbeats(
        *workers(2),
        worker("w2", seen=CRASHES),
        THREE,
        firing=MISSED,
    ),
    "a pod is replaced within a minute": heartbeats(*replaced_pod(), firing=silent(minutes(15))),
    "workers come one after the other": heartbeats(*growing(), firing=silent(minutes(15))),
    "a new version": heartbeats(*new_version(), firing=silent(minutes(15))),
    "scale-in": heartbeats(*scale_in(), firing=silent(minutes(15))),
    "zero": heartbeats(expected(steps((0, 0))), firing=silent(minutes(15))),
    "to zero and back": heartbeats(*to_zero_and_back(), firing=silent(minutes(15))),
    "no collector": heartbeats(*workers(3), expected(steps((0, 3), (minutes(5), None))), firing=silent(minutes(15))),
    "no collector, and one hangs": heartbeats(
        *workers(2),
        worker("w2", beats_until=minutes(5)),
        expected(steps((0, 3), (minutes(3), None))),
        firing=HANGS,
    ),
    "two collectors and two operators": heartbeats(
        *workers(3), THREE, expected(steps((0, 3)), collector="c1"), *TWO_OPERATORS, firing=silent(minutes(15))
    ),
    "one is frozen, and the others are scraped twice": heartbeats(
        *workers(2),
        *(worker(f"w{number}", phase=number, job="mine") for number in range(2)),
        worker("w2", seen=LOST),
        THREE,
        firing=MISSED,
    ),
    "those of other pools": heartbeats(
        *workers(3),
        THREE,
        worker("x", beats_until=0, pool="other"),
        worker("y", beats_until=0, namespace="other"),
        firing=silent(minutes(15)),
    ),
}


# Depths


def queue(values: Values, *, name: str = "main", collector: str = "c0", **labels: str) -> Series:
    own = {"queue": name, "pod": collector, "container": "collector", "job": "workerpool"}
    return Series(metric="queue_depth", labels=POOL | own | labels, values=values)


def depths(*series: Series, firing: Firing) -> Case:
    return Case(series=series, seconds=max(firing), alert="HighQueueDepth", firing=firing)


def fires(*moments: float) -> dict[int, Sequence[Labels]]:
    return {minutes(moment): [DEPTH] for moment in moments}


def quiet(moments: Iterable[float]) -> dict[int, Sequence[Labels]]:
    return {minutes(moment): QUIET for moment in moments}


def from_70(grow: Callable[[float], float], *, usual: float = 50) -> Values:
    """The usual depth for 70 minutes, and then `grow`, of the minutes since."""
    return lambda now: usual if now < minutes(70) else grow((now - minutes(70)) / 60)


HOUR_AND_MORE: Final = range(0, 100, 5)

DEPTHS: Final[dict[str, Case]] = {
    "a step": depths(
        queue(from_70(lambda _: 1000)),
        # It becomes the usual after half an hour: the average of the hour before has reached 500.
        firing=quiet((0, 69, 74)) | fires(76, 90, 100) | quiet((110,)),
    ),
    "linear growth": depths(
        queue(from_70(lambda passed: 50 + 10 * passed)), firing=quiet((69, 74)) | fires(86, 100, 110)
    ),
    "linear growth of a new pool": depths(queue(lambda now: now / 6), firing=quiet((4, 9)) | fires(20, 40, 60)),
    "exponential growth": depths(queue(lambda now: 2 ** (now / minutes(10))), firing=quiet((60,)) | fires(75, 90, 120)),
    "steady, high but normal": depths(queue(lambda _: 5000), firing=quiet(HOUR_AND_MORE)),
    "a short spike": depths(
        queue(from_70(lambda passed: 5000 if passed < 4 else 50)), firing=quiet((69, 72, 74, 75, 76, 80))
    ),
    "zero": depths(queue(lambda _: 0), firing=quiet(HOUR_AND_MORE)),
    "far more than usual, and still what the pool may have": depths(
        queue(from_70(lambda _: 90, usual=1)), firing=quiet((69, 76, 80, 90))
    ),
    "queues that grow together": depths(
        queue(from_70(lambda _: 60, usual=5)),
        queue(from_70(lambda _: 60, usual=5), name="low"),
        firing=quiet((69, 74)) | fires(76, 80),
    ),
    "one queue that two collectors and two operators tell of": depths(
        queue(from_70(lambda _: 90, usual=5)),
        queue(from_70(lambda _: 90, usual=5), collector="c1"),
        *TWO_OPERATORS,
        firing=quiet((69, 76, 80)),
    ),
    "a collector that is replaced": depths(
        queue(lambda now: from_70(lambda _: 1000)(now) if now <= minutes(80) else None),
        queue(lambda now: 1000 if now >= minutes(80) else None, collector="c1"),
        firing=quiet((69, 74)) | fires(76, 80, 81, 85, 90),
    ),
    "no collector": depths(
        queue(lambda now: 50 if now < minutes(70) else None),
        firing=quiet((69, 71, 76, 80)),
    ),
    "scale-in": depths(queue(lambda now: max(0, 5000 - now)), firing=quiet(HOUR_AND_MORE)),
    "those of other pools": depths(
        queue(lambda _: 10),
        queue(from_70(lambda _: 1000), pool="other"),
        queue(from_70(lambda _: 1000), namespace="other"),
        firing=quiet((69, 76, 80)),
    ),
}


# Ends of containers


def ended_by(reason: str, *, starts_anew: bool = True, pod: str = "w0") -> tuple[Series, ...]:
    """The worker of w0 ends in the fifth minute; two replicas of kube-state-metrics tell of the pod, and why it ended.

    `starts_anew`: else it did so long before. `pod`: of which kube-state-metrics tells.
    """
    about = {"namespace": POOL["namespace"], "pod": pod, "container": "worker", "uid": "u"}
    end = minutes(5) if starts_anew else 0
    seen = {*range(minutes(5)), *range(minutes(6), minutes(60))}
    told = [
        Series(metric=f"kube_pod_container_status_{metric}", labels=about | more | {"instance": one}, values=values)
        for one in ("k0", "k1")
        for metric, more, values in (
            ("restarts_total", {}, steps((0, 2), (end, 3))),
            ("last_terminated_reason", {"reason": reason}, steps((0, None), (end, 1))),
        )
    ]
    return (worker("w0", seen=seen), *told)
