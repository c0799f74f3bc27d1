"""Kubernetes events about the operator's objects, for `kubectl describe` and `kubectl get events`.

Written as `events.k8s.io/v1` (which `core/v1` readers see as well), in the background: an event that cannot be
written is dropped and counted, and never holds up or fails a reconcile.

The name of an event is a hash of what it says about which object, so the same event again, from a repeated
reconcile, another leader or after a crash, raises the count of the one that is there ("x3 over 2m") instead of
adding another. Per object a token bucket bounds how many are written at all.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog

from workerpool_operator.kube import errors
from workerpool_operator.kube.kinds import EVENT, ObjectRef
from workerpool_operator.kube.recent import Recent

_log = structlog.stdlib.get_logger(__name__)

Json = dict[str, Any]

REPORTING_CONTROLLER: Final = "workerpool.dev/operator"
BURST: Final = 25
REFILL_SECONDS: Final = 60.0
_NOTE_LIMIT: Final = 1024
REPEATED_SECONDS: Final = 360.0
"""How long an event is remembered as written: as long as client-go takes the same one for one more of a series."""
_REMEMBERED: Final = 512
"""Events that are remembered as written: those that repeat do so soon, and of thousands of pools at once hardly one
does. One that is forgotten costs two requests more when it comes again."""
_BUDGETS: Final = 4096
_QUEUE_LIMIT: Final = 10_000
_WRITERS: Final = 4


class EventType(StrEnum):
    """How much an event should worry its reader."""

    NORMAL = "Normal"
    """Something happened as it should."""
    WARNING = "Warning"
    """Somebody should look."""


class EventApi(Protocol):
    """What the recorder needs of :class:`.client.Kube`."""

    async def create(self, obj: Json) -> Json:
        """Make the event; raises AlreadyExists."""

    async def merge_patch(self, ref: ObjectRef, patch: Json) -> Json:
        """Change the event; raises NotFound once it has expired."""


@dataclass(frozen=True, slots=True)
class _Emission:
    regarding: ObjectRef
    uid: str
    type: EventType
    reason: str
    action: str
    note: str

    @property
    def ref(self) -> ObjectRef:
        said = repr((self.uid, str(self.type), self.reason, self.action, self.note))
        digest = hashlib.sha256(said.encode()).hexdigest()[:16]
        # Events about cluster-scoped objects live in `default`.
        return ObjectRef(EVENT, self.regarding.namespace or "default", f"{self.regarding.name}.{digest}")


class EventRecorder:
    """Takes events without blocking; :meth:`run` writes them."""

    def __init__(
        self,
        api: EventApi,
        *,
        instance: str,
        on_drop: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; `instance` names this replica (its pod)."""
        self._api = api
        self._instance = instance
        self._on_drop = on_drop
        self._wall_clock = wall_clock
        self._queue: asyncio.Queue[_Emission] = asyncio.Queue(_QUEUE_LIMIT)
        self._budget = _Budgets(clock)
        self._counts = Recent[ObjectRef, int](seconds=REPEATED_SECONDS, limit=_REMEMBERED, clock=clock)

    def emit(
        self,
        regarding: ObjectRef,
        *,
        uid: str,
        type: EventType,  # noqa: A002  the field's name in the API
        reason: str,
        message: str,
        action: str = "Reconcile",
    ) -> None:
        """Say that something happened to the object `regarding` with this `uid`.

        `reason` is one CamelCase word for machines, `message` a sentence for people (cut at 1024 bytes),
        `action` what the operator was doing.
        """
        emission = _Emission(regarding, uid, type, reason, action, _cut(message))
        if not self._budget.take(uid) or self._queue.full():
            self._on_drop()
            return
        self._queue.put_nowait(emission)

    async def run(self) -> None:
        """Write what is emitted, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_WRITERS):
                group.create_task(self._write_all(), name=f"event-writer-{number}")

    async def flush(self) -> None:
        """Return once everything emitted so far has been written or dropped; needs :meth:`run`."""
        await self._queue.join()

    async def _write_all(self) -> None:
        while True:
            emission = await self._queue.get()
            try:
                await self._write(emission)
            except errors.KubeError as error:
                self._on_drop()
                _log.info("an event was dropped", event_reason=emission.reason, why=str(error))
            finally:
                self._queue.task_done()

    async def _write(self, emission: _Emission) -> None:
        ref = emission.ref
        if count := self._counts.get(ref):
            try:
                return await self._repeat(ref, count)
            except errors.NotFound:
                self._counts.forget(ref)  # expired (one hour by default): it starts anew
        try:
            await self._api.create(self._event(emission, ref))
            self._counts.set(ref, 1)
        except errors.AlreadyExists:
            # From before a restart, or by another leader. Reading it would need one more right in RBAC; an
            # empty patch gives it back as well.
            known = await self._api.merge_patch(ref, {})
            await self._repeat(ref, (known.get("series") or {}).get("count", 1))

    async def _repeat(self, ref: ObjectRef, count: int) -> None:
        series = {"count": count + 1, "lastObservedTime": self._now_text()}
        await self._api.merge_patch(ref, {"series": series})
        self._counts.set(ref, count + 1)

    def _event(self, emission: _Emission, ref: ObjectRef) -> Json:
        regarding = emission.regarding
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"namespace": ref.namespace, "name": ref.name},
            "eventTime": self._now_text(),
            "reportingController": REPORTING_CONTROLLER,
            "reportingInstance": self._instance,
            "type": emission.type,
            "reason": emission.reason,
            "action": emission.action,
            "note": emission.note,
            "regarding": {
                "apiVersion": regarding.kind.api_version,
                "kind": regarding.kind.kind,
                "name": regarding.name,
                "uid": emission.uid,
            }
            | ({"namespace": regarding.namespace} if regarding.namespace else {}),
        }

    def _now_text(self) -> str:
        return self._wall_clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Budgets:
    """A token bucket per object: `BURST` events at once, then one per `REFILL_SECONDS`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # One that has not been used for so long is full again, as is one that nobody knows.
        refilled = BURST * REFILL_SECONDS
        self._buckets = Recent[str, tuple[float, float]](seconds=refilled, limit=_BUDGETS, clock=clock)

    def take(self, uid: str) -> bool:
        now = self._clock()
        tokens, at = self._buckets.get(uid) or (float(BURST), now)
        tokens = min(float(BURST), tokens + (now - at) / REFILL_SECONDS)
        allowed = tokens >= 1
        self._buckets.set(uid, (tokens - 1 if allowed else tokens, now))
        return allowed


def _cut(message: str) -> str:
    """At most `_NOTE_LIMIT` bytes, without half a character at the end."""
    encoded = message.encode()
    if len(encoded) <= _NOTE_LIMIT:
        return message
    return encoded[: _NOTE_LIMIT - len("…".encode())].decode(errors="ignore") + "…"
