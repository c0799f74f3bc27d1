"""A plan shares a pool's rate limit out where its broker cannot count, and remembers what it ordered."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import pool, settled
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.rules import by_shares, paceable
from workerpool_operator.domain.scaling import THROTTLE, Report
from workerpool_operator.domain.scaling.shares import LOOK_SECONDS
from workerpool_operator.domain.snapshot import Snapshot

RABBITMQ: dict[str, Any] = {"name": "main", "rabbitmq": {"url": "amqp://r:5672/", "queue": "q"}}
KAFKA: dict[str, Any] = {"name": "other", "kafka": {"url": "kafka://k:9092", "topic": "t", "group": "g"}}
REDIS: dict[str, Any] = {"name": "third", "redisStream": {"url": "redis://r:6379/0", "stream": "s", "group": "g"}}
DEPTH: dict[str, Any] = {"name": "fourth", "redisList": {"url": "redis://r:6379/0", "keys": ["celery"]}}


def watched(*queues: dict[str, Any], limit: int | None = 10, throttle: str = "", **seen: Any) -> Snapshot:
    web = pool(queues=list(queues), delivery={} if limit is None else {"rateLimitPerSecond": limit})
    if throttle:
        metadata = web.metadata.model_copy(update={"annotations": {THROTTLE: throttle}})
        web = web.model_copy(update={"metadata": metadata})
    reports = {
        uid: Report(uid=uid, age=0.0, in_flight=0, fence="", fenceable=True, connected=True) for uid in ("a", "b")
    }
    return replace(settled(web, 2), reports=reports, **seen)


def shared(snapshot: Snapshot) -> dict[str, float]:
    return {uid: share.per_second for uid, share in plan(snapshot).memory.shares.newest.items()}


@pytest.mark.parametrize(
    ("queues", "kept", "by_share"),
    [
        ([RABBITMQ], True, True),
        ([KAFKA, REDIS], True, True),
        ([REDIS, DEPTH], True, False),
        ([DEPTH], False, False),
        ([RABBITMQ, DEPTH], True, True),
    ],
)
def test_a_limit_is_kept_by_shares_where_one_of_the_brokers_cannot_count(
    queues: list[dict[str, Any]],
    kept: bool,  # noqa: FBT001
    by_share: bool,  # noqa: FBT001
) -> None:
    snapshot = watched(*queues)
    assert (paceable(snapshot.pool), by_shares(snapshot.pool)) == (kept, by_share)
    assert shared(snapshot) == ({"a": 5.0, "b": 5.0} if by_share else {})


def test_a_throttle_is_shared_out_as_well() -> None:
    assert shared(watched(RABBITMQ, limit=None)) == {}
    assert shared(watched(RABBITMQ, throttle="4@2999-01-01T00:00:00Z")) == {"a": 2.0, "b": 2.0}
    assert shared(watched(RABBITMQ, limit=None, throttle="4@2999-01-01T00:00:00Z")) == {"a": 2.0, "b": 2.0}


def test_while_no_collector_is_heard_all_stays_as_it_was() -> None:
    first = plan(watched(RABBITMQ))
    blind = watched(RABBITMQ, collectors=0)
    blind = replace(blind, reports={}, memory=replace(blind.memory, shares=first.memory.shares))
    assert plan(blind).memory.shares == first.memory.shares


def test_it_looks_again_while_it_waits_for_what_a_stranger_has() -> None:
    again = plan(watched(RABBITMQ, unheard={"c": 1.0})).look_again
    assert again is not None
    assert again <= LOOK_SECONDS
    broken = watched(RABBITMQ, unheard={"c": 1.0}, account_usable=False)
    assert plan(broken).problem
    assert plan(broken).look_again == LOOK_SECONDS
