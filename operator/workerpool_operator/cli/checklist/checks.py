"""What should hold of a pool before it goes live: pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.cli.get.rows import condition
from workerpool_operator.cli.hints import where
from workerpool_operator.domain.scaling.overrides import FORCE_ACTIVE, FREEZE, PAUSED

Json = Mapping[str, Any]


class State(StrEnum):
    """What is known of a point."""

    DONE = "done"
    OPEN = "open"
    """It is not so."""
    ASK = "ask"
    """No program can tell: a person has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One line of the list."""

    subject: str
    state: State
    text: str
    remedy: str = ""


_ASKED: Final = (
    ("handlers", "Is each handler safe to run twice with the same job? A job may come again after a crash.",
     "docs/how-to/exactly-once.md"),
    ("tests", "Do tests show that handlers bear a repetition, an error and the death of their worker?",
     "docs/how-to/test-handlers.md"),
    ("load", "Has the pool borne twice the highest load that you expect?", "docs/how-to/size-and-load-test.md"),
    ("drain", "Do jobs end, or keep a checkpoint, within worker.drainTimeoutSeconds?", "wpool profile"),
    ("chaos", "Has it passed wpool chaos: a worker killed, the broker away, what it calls slow?",
     "docs/how-to/chaos.md"),
    ("failover", "Has a node been lost on purpose, and did the workers come back to where they belong?",
     "docs/how-to/placement.md"),
    ("recovery", "Has the broker been restored from a backup, and what became of its jobs?",
     "docs/reference/brokers.md"),
    ("dead letters", "Does somebody hear of dead letters (DeadLettersGrowing), and redrive or purge them?",
     "docs/runbooks/DeadLettersGrowing.md"),
    ("dashboards", "Have the pool's owners seen its dashboards?", "docs/how-to/dashboards.md"),
    ("on call", "Do those on call know the runbooks, and has an alert reached them?", "docs/runbooks/"),
    ("way back", "Has a bad version been tried, and did it go back by itself?", "docs/how-to/canary.md"),
)  # fmt: skip


def points(pool: Json) -> list[Point]:
    """All of them: first those that the pool itself tells."""
    found = [point for check in _CHECKS for point in check(pool)]
    return found + [
        Point(subject=subject, state=State.ASK, text=text, remedy=remedy) for subject, text, remedy in _ASKED
    ]


def _judged(subject: str, good: object, *, yes: str, no: str, remedy: str) -> Point:
    if good:
        return Point(subject=subject, state=State.DONE, text=yes)
    return Point(subject=subject, state=State.OPEN, text=no, remedy=remedy)


def _ready(pool: Json) -> Iterator[Point]:
    told = condition(pool, "Ready")
    words = str(told.get("message") or told.get("reason") or "the operator has not written any status")
    here = where(namespace=pool["metadata"].get("namespace"))
    remedy = f"wpool describe {pool['metadata']['name']}{here}"
    yield _judged("ready", told.get("status") == "True", yes=words, no=words, remedy=remedy)
    queue = condition(pool, "QueueReachable")
    words = str(queue.get("message") or queue.get("reason") or "not known yet")
    yield _judged("queues", queue.get("status") == "True", yes="can be read", no=words, remedy=f"wpool doctor{here}")


def _image(pool: Json) -> Iterator[Point]:
    image = str(_spec(pool, "worker").get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    pinned = "@sha256:" in image or tag not in {"", "latest"}
    remedy = "name a version in worker.image: else two pods of one version may run different programs"
    yield _judged("image", pinned, yes=image, no=f"{image} may be another one tomorrow", remedy=remedy)


def _resources(pool: Json) -> Iterator[Point]:
    resources = _spec(pool, "worker").get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    yield _judged(
        "resources",
        "memory" in limits and ("cpu" in requests or "cpu" in limits),
        yes="CPU is asked for, memory is bounded",
        no="a worker may take what others on its node need, or get nothing",
        remedy="set worker.resources.requests.cpu and limits.memory; wpool profile measures them",
    )


def _security(pool: Json) -> Iterator[Point]:
    for queue in pool.get("spec", {}).get("queues") or ():
        kind = next((value for key, value in queue.items() if isinstance(value, Mapping) and "url" in value), None)
        if kind is None:
            continue
        url = str(kind.get("url", ""))
        subject = f"queue {queue.get('name')}"
        yield _judged(
            subject,
            queue.get("credentials") or queue.get("tls"),
            yes="asks for credentials",
            no="lets anybody in who reaches it",
            remedy="have the broker ask for a password, and name its Secret in queues[].credentials",
        )
        plain = url.startswith(("redis://", "amqp://", "nats://", "kafka://")) or "sslmode=disable" in url
        yield _judged(
            subject, not plain, yes="is encrypted", no=f"{url} is not encrypted", remedy="use the broker's TLS address"
        )


def _scaling(pool: Json) -> Iterator[Point]:
    scaling = _spec(pool, "scaling")
    yield _judged(
        "downstream",
        scaling.get("downstreamMaxConcurrency")
        or scaling.get("budget")
        or _spec(pool, "delivery").get("rateLimitPerSecond"),
        yes="what the jobs call is protected by a bound",
        no="the pool may grow until what its jobs call breaks",
        remedy="set scaling.downstreamMaxConcurrency to how many jobs at a time that bears (wpool sweep finds it), or "
        "delivery.rateLimitPerSecond to how many a second",
    )
    yield _judged(
        "bounds",
        scaling.get("maxReplicas") not in {None, 50},
        yes=f"{scaling.get('minReplicas', 0)} to {scaling.get('maxReplicas')} workers",
        no="scaling.maxReplicas is the default",
        remedy="set scaling.maxReplicas to what you can pay for and the cluster can run; wpool size says how many",
    )


def _rollout(pool: Json) -> Iterator[Point]:
    rollout = _spec(pool, "rollout")
    yield _judged(
        "new versions",
        rollout.get("strategy") == "Canary" and rollout.get("autoRollback", True),
        yes="are tried on a part of the jobs, and go back by themselves",
        no="take over without a trial, or stay when they fail",
        remedy="set rollout.strategy to Canary, with autoRollback",
    )


def _alerts(pool: Json) -> Iterator[Point]:
    told = condition(pool, "Monitored")
    words = str(told.get("message") or told.get("reason") or "not known yet")
    good = told.get("status") == "True"
    yield _judged("alerts", good, yes="the pool's alerts are in the cluster", no=words, remedy="docs/how-to/alerts.md")


def _promises(pool: Json) -> Iterator[Point]:
    slo = _spec(pool, "slo")
    said = [name for name in ("availability", "jobLatencySeconds", "queueDepth", "throughput") if slo.get(name)]
    yield _judged(
        "promises",
        said,
        yes=f"somebody is told before it breaks what it promises ({', '.join(said)})",
        no="nobody has said what its users may count on, so nobody is told when they cannot",
        remedy="set spec.slo: docs/how-to/alerts.md",
    )


def _maintenance(pool: Json) -> Iterator[Point]:
    at_once, most = _spec(pool, "disruption").get("maxUnavailable", 1), _spec(pool, "scaling").get("maxReplicas")
    elsewhere = _spec(pool, "placement").get("secondary") is not None
    several = isinstance(at_once, int) and isinstance(most, int) and most > 1
    none, everyone = at_once in {0, "0%"}, at_once == "100%" or (several and at_once >= most)
    yield _judged(
        "maintenance",
        not none and (elsewhere or not everyone),
        yes=f"takes {at_once} of the workers at a time" + (", and there is another place" if elsewhere else ""),
        no="cannot empty a node with a worker of it" if none else "may take all workers at once",
        remedy="set disruption.maxUnavailable to some of the workers"
        + ("" if none else ", or placement.secondary to where they are made up for"),
    )


def _spread(pool: Json) -> Iterator[Point]:
    worker = _spec(pool, "worker")
    affinity = worker.get("affinity") or {}
    yield _judged(
        "nodes",
        worker.get("topologySpreadConstraints") or affinity.get("podAntiAffinity"),
        yes="workers are spread over nodes",
        no="all workers may be on one node, and go with it",
        remedy="set worker.topologySpreadConstraints by kubernetes.io/hostname",
    )


def _by_hand(pool: Json) -> Iterator[Point]:
    name, here = pool["metadata"]["name"], where(namespace=pool["metadata"].get("namespace"))
    said = [key for key in pool["metadata"].get("annotations") or {} if key in {PAUSED, FREEZE, FORCE_ACTIVE}]
    stopped = bool((pool.get("spec") or {}).get("suspend"))
    left = [*said, *(["spec.suspend"] if stopped else [])]
    ends = [f"kubectl annotate wpool {name} {' '.join(f'{key}-' for key in said)}{here}"] if said else []
    ends += [f"wpool start {name}{here}"] if stopped else []
    yield _judged(
        "overrides",
        not left,
        yes="nobody holds the pool by hand",
        no=f"left over from a test: {', '.join(left)}",
        remedy=f"take them away: {', then '.join(ends)}",
    )


def _spec(pool: Json, part: str) -> Json:
    found: Json = (pool.get("spec") or {}).get(part) or {}
    return found


_CHECKS: Final[Sequence[Callable[[Json], Iterator[Point]]]] = (
    _ready,
    _image,
    _resources,
    _security,
    _scaling,
    _rollout,
    _alerts,
    _promises,
    _spread,
    _maintenance,
    _by_hand,
)
