"""Events: one per thing that happened, never a flood, never in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.events import BURST, REFILL_SECONDS, REPEATED_SECONDS, EventRecorder, EventType
from workerpool_operator.kube.kinds import ObjectRef

POOL = ObjectRef(kinds.WORKER_POOL, "media", "thumbs")
UID = "0b9e4a44-0000-0000-0000-000000000001"


class EventStore:
    """Events in memory, as the API server keeps them."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.failing: errors.KubeError | None = None
        self.requests = 0

    async def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        self._ask()
        name = obj["metadata"]["name"]
        if name in self.events:
            raise errors.AlreadyExists
        self.events[name] = obj
        return obj

    async def merge_patch(self, ref: ObjectRef, patch: dict[str, Any]) -> dict[str, Any]:
        self._ask()
        if ref.name not in self.events:
            raise errors.NotFound
        self.events[ref.name] |= patch
        return self.events[ref.name]

    def _ask(self) -> None:
        self.requests += 1
        if self.failing:
            raise self.failing


class Recording:
    """A recorder on a store, with a clock that is turned by hand."""

    def __init__(self, store: EventStore) -> None:
        self.now = 0.0
        self.dropped = 0
        self.recorder = EventRecorder(store, instance="pod-0", on_drop=self._drop, clock=lambda: self.now)

    def _drop(self) -> None:
        self.dropped += 1

    def emit(self, message: str = "went from 1 to 3", *, uid: str = UID, ref: ObjectRef = POOL) -> None:
        self.recorder.emit(ref, uid=uid, type=EventType.NORMAL, reason="ScaledUp", message=message)


@asynccontextmanager
async def recording(store: EventStore) -> AsyncIterator[Recording]:
    one = Recording(store)
    task = asyncio.create_task(one.recorder.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_event_says_what_happened_to_what() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit()
        await one.recorder.flush()
    (event,) = store.events.values()
    assert (event["type"], event["reason"], event["note"]) == ("Normal", "ScaledUp", "went from 1 to 3")
    assert event["regarding"]["uid"] == UID
    assert event["metadata"]["namespace"] == "media"
    assert "series" not in event


async def test_the_same_again_raises_its_count() -> None:
    store = EventStore()
    async with recording(store) as one:
        for _ in range(3):
            one.emit()
            await one.recorder.flush()
    assert [event["series"]["count"] for event in store.events.values()] == [3]


async def test_a_new_process_goes_on_counting_what_is_there() -> None:
    store = EventStore()
    for _ in range(3):
        async with recording(store) as one:
            one.emit()
            await one.recorder.flush()
    assert [event["series"]["count"] for event in store.events.values()] == [3]


async def test_after_a_while_the_same_is_looked_for_anew_and_counted_on() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit()
        await one.recorder.flush()
        one.now = REPEATED_SECONDS
        one.emit()
        await one.recorder.flush()
    assert [event["series"]["count"] for event in store.events.values()] == [2]
    assert store.requests == 4  # made; not made again, looked at, raised


async def test_what_differs_is_another_event() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit("went from 1 to 3")
        one.emit("went from 3 to 5")
        one.emit(uid="another-uid")
        await one.recorder.flush()
    assert len(store.events) == 3


async def test_an_event_that_expired_starts_anew() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit()
        await one.recorder.flush()
        store.events.clear()
        one.emit()
        await one.recorder.flush()
    (event,) = store.events.values()
    assert "series" not in event


@pytest.mark.parametrize(
    "failure", [errors.Unavailable, errors.Forbidden, errors.NamespaceTerminating, errors.NotLeader]
)
async def test_an_event_that_cannot_be_written_is_dropped_and_the_next_is_not(failure: type[errors.KubeError]) -> None:
    store = EventStore()
    async with recording(store) as one:
        store.failing = failure()
        one.emit("first")
        await one.recorder.flush()
        store.failing = None
        one.emit("second")
        await one.recorder.flush()
        assert one.dropped == 1
    assert [event["note"] for event in store.events.values()] == ["second"]


async def test_one_object_cannot_flood_and_does_not_silence_another() -> None:
    store = EventStore()
    async with recording(store) as one:
        for number in range(BURST + 5):
            one.emit(f"change {number}")
        one.emit(uid="another-uid")
        await one.recorder.flush()
        assert one.dropped == 5
        assert len(store.events) == BURST + 1
        one.now += REFILL_SECONDS
        one.emit("later")
        await one.recorder.flush()
        assert len(store.events) == BURST + 2


async def test_emitting_never_waits_for_the_server() -> None:
    one = Recording(EventStore())
    one.emit()  # nothing runs yet that could write it
    assert one.dropped == 0


async def test_a_long_message_is_cut_to_what_the_server_takes() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit("ü" * 2000)
        await one.recorder.flush()
    (event,) = store.events.values()
    assert 1000 < len(event["note"].encode()) <= 1024
    assert event["note"].endswith("ü…")


async def test_an_event_about_a_cluster_scoped_object_lives_in_default() -> None:
    store = EventStore()
    async with recording(store) as one:
        one.emit(ref=ObjectRef(kinds.NODE, "", "node-1"))
        await one.recorder.flush()
    (event,) = store.events.values()
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]
