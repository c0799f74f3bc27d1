"""What a reconcile publishes of a pool, and how it writes spec.replicas."""

import functools
from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest

from tests.support.pools import pool, pool_body
from tests.support.reconciler import pool_reconciler
from workerpool_operator.api import Reason
from workerpool_operator.controller.execute import Executor, Failure
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.queue import Outcome
from workerpool_operator.controller.reconcile import OVERTAKEN_SECONDS
from workerpool_operator.controller.refusals import refusals
from workerpool_operator.controller.store import Store
from workerpool_operator.domain import desired
from workerpool_operator.domain.objects import Apply
from workerpool_operator.kube import Kube, errors, kinds
from workerpool_operator.protocol import QueueSample, Samples
from workerpool_operator.serve.state import Peer, StreamState

KEY = PoolKey("media", "thumbs")


class Server:
    """Takes every write but what `refusal` holds against spec.replicas, and remembers them in order."""

    def __init__(self) -> None:
        self.version = 100
        self.refusal: errors.KubeError | None = None
        self.writes: list[str] = []

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        self.version += 1
        self.writes.append(subresource or body["kind"])
        known = {"uid": f"{body['kind']}-{self.version}", "resourceVersion": str(self.version)}
        return {**body, "metadata": {**body["metadata"], **known}}

    async def merge_patch(self, _: object, patch: dict[str, Any], **__: Any) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.version += 1
        self.writes.append(f"replicas={patch['spec']['replicas']}")
        body = pool_body(**patch["spec"])
        body["metadata"] |= {"uid": "u", "generation": 2, "resourceVersion": str(self.version)}
        return body


class Board:
    """Where values are published."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def publish(self, namespace: str, pool: str, value: int, *, queues: Collection[str]) -> None:
        self.values[f"{namespace}/{pool}"] = value

    def withdraw(self, namespace: str, pool: str) -> None:
        self.values.pop(f"{namespace}/{pool}", None)


class Bench:
    """A reconciler on that server; `look` is one reconcile of the pool with these fields in `spec.scaling`."""

    def __init__(self) -> None:
        self.server, self.board, self.store = Server(), Board(), Store()
        self.streams = StreamState(on_change=lambda *_: None)
        self.streams.set_role(leader=True, epoch=1)
        kube = cast("Kube", self.server)
        self.executor = Executor(kube=kube, store=self.store)
        self.reconciler = pool_reconciler(
            kube=kube, store=self.store, streams=self.streams, values=self.board, executor=self.executor
        )

    def reading(self, waiting: int, *, age: float = 0.0) -> None:
        sample = QueueSample(queue="main", age_seconds=age, waiting=waiting, in_flight=0)
        self.streams.receive(Peer(namespace="media", pod="c"), Samples(pool="thumbs", samples=(sample,)))

    async def look(self, *, replicas: int = 1, status: Mapping[str, Any] | None = None, **scaling: Any) -> Outcome:
        body = pool_body(scaling=scaling, replicas=replicas) | {"status": dict(status or {})}
        self.server.version += 1
        body["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": str(self.server.version)}
        self.store.put(kinds.WORKER_POOL, body)
        return await self.reconciler.reconcile(KEY)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# What the metrics API is told


async def test_a_number_that_is_only_held_is_not_published(bench: Bench) -> None:
    """Nor exported, for those who read it from Prometheus."""
    exported = functools.partial(
        bench.reconciler.metrics.registry.get_sample_value,
        "workerpool_desired_replicas",
        {"namespace": "media", "pool": "thumbs"},
    )
    await bench.look(minReplicas=2)
    assert bench.board.values == {}
    assert exported() is None
    bench.reading(100)
    await bench.look(minReplicas=2)
    assert bench.board.values == {"media/thumbs": 5}
    assert exported() == 5
    bench.reading(100, age=60.0)
    await bench.look(minReplicas=2)
    assert exported() is None


async def test_a_pool_that_a_person_sizes_or_that_is_gone_has_no_number(bench: Bench) -> None:
    bench.reading(100)
    await bench.look()
    assert bench.board.values == {"media/thumbs": 5}
    await bench.look(mode="manual", replicas=5)
    assert bench.board.values == {}
    await bench.look()
    assert bench.board.values == {"media/thumbs": 5}
    bench.store.drop(kinds.WORKER_POOL, "media", "thumbs")
    await bench.reconciler.reconcile(KEY)
    assert bench.board.values == {}


# spec.replicas


async def test_workers_are_asked_for_before_anything_is_written_down(bench: Bench) -> None:
    """0 -> N is waited for; and whoever finds the workers without the note writes it."""
    bench.reading(100)
    await bench.look(mode="hpa", replicas=0)
    assert [what for what in bench.server.writes if what in {"Deployment", "replicas=5", "status"}] == [
        "Deployment",
        "replicas=5",
        "status",
    ]


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (errors.Conflict("changed"), Outcome(look_again=OVERTAKEN_SECONDS)),
        (errors.Forbidden("no"), Outcome(look_again=None, failed=True)),
    ],
    ids=["overtaken", "forbidden"],
)
async def test_a_new_mode_is_not_told_before_the_field_says_what_it_has_to(
    bench: Bench, refusal: errors.KubeError, outcome: Outcome
) -> None:
    bench.server.refusal = refusal
    assert (await bench.look(mode="hpa")).failed == outcome.failed
    assert "status" not in bench.server.writes
    if not outcome.failed:
        assert await bench.look(mode="hpa") == outcome
    bench.server.refusal = None
    await bench.look(mode="hpa")
    assert bench.server.writes[-2:] == ["replicas=0", "status"]


async def test_within_the_mode_a_refused_write_keeps_nothing_else_from_being_told(bench: Bench) -> None:
    bench.server.refusal = errors.Forbidden("no")
    bench.reading(100)
    outcome = await bench.look(mode="hpa", replicas=0, status={"scaling": {"mode": "hpa", "desired": 0}})
    assert outcome.failed
    assert bench.server.writes[-1] == "status"


# An HPA of somebody else


class Taken(Server):
    """A server on which an HPA of the pool's name exists already."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        self.body = {**body, "metadata": {**body["metadata"], "uid": "theirs", "resourceVersion": "7"}}
        self.patched: list[dict[str, Any]] = []

    async def apply(self, body: dict[str, Any], *, subresource: str = "") -> dict[str, Any]:
        del body, subresource
        raise errors.Conflict("exists")

    async def all(self) -> list[dict[str, Any]]:
        return [self.body]

    def list(self, *_: Any, **__: Any) -> "Taken":
        return self

    async def merge_patch(self, _: object, patch: dict[str, Any], **__: Any) -> dict[str, Any]:
        self.patched.append(patch)
        return {**self.body, "metadata": {**self.body["metadata"], **patch["metadata"]}}


async def made(server: Taken, wanted: dict[str, Any]) -> Failure:
    executor = Executor(kube=cast("Kube", server), store=Store())
    [failure] = await executor.apply_all((Apply(body=wanted, only_new=True),))
    return failure


def autoscaler() -> dict[str, Any]:
    return desired.autoscaler(pool(), exact=True)


async def test_a_persons_hpa_of_the_pools_name_is_left_alone_and_told_of() -> None:
    """It may scale a Deployment of this name."""
    wanted = autoscaler()
    theirs = {**wanted, "metadata": {"name": "thumbs", "namespace": "media"}}
    server = Taken(theirs)
    failure = await made(server, wanted)
    assert not failure.overtaken
    assert server.patched == []
    [told] = refusals([failure])
    assert told.reason is Reason.APPLY_REFUSED
    assert "HorizontalPodAutoscaler media/thumbs" in told.message
    assert "delete it, or set scaling.mode to another than hpa" in told.message


@pytest.mark.parametrize("lost", ["labels", "ownerReferences"])
async def test_an_own_hpa_that_lost_its_label_or_owner_is_made_recognisable(lost: str) -> None:
    wanted = autoscaler()
    metadata = {key: value for key, value in wanted["metadata"].items() if key != lost}
    server = Taken({**wanted, "metadata": metadata})
    failure = await made(server, wanted)
    assert failure.overtaken
    assert [set(patch["metadata"]) for patch in server.patched] == [{"labels", "ownerReferences"}]
