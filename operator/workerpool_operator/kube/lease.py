"""One leader among the operator's replicas, by a `coordination.k8s.io/v1` Lease.

The rules are client-go's, which operators in Go live by:

- The holder renews every `renew_seconds`, and tries again sooner after a renewal that failed. It leads until
  `deadline_seconds` after it **sent** its last successful renewal, measured by its own monotonic clock.
- Another replica takes the lease when the record has not changed for `duration_seconds` since **it** first saw
  it, measured by its own monotonic clock. The times inside the record are for people; nobody's wall clock is
  compared with anybody else's, so skew does nothing.
- Every write of the record carries the resource version that it was judged by: of two replicas that reach for
  it at once, one gets a Conflict.

So the old leader has stopped starting writes `duration - deadline` seconds before another one begins, and a
request lasts less than that (:data:`.client.REQUEST_TIMEOUT_SECONDS`): never two writers.

Unlike client-go this does not end the process when leadership is lost: an API outage of ten minutes would
restart every operator, and lose watches and stores that are as good as before. :meth:`LeaderElector.check`
refuses writes by looking at the clock, not at a flag, so it is right even when the event loop was stopped for a
while and the elector has not run yet. Leadership comes back with the first renewal that succeeds.

`epoch` is the record's `leaseTransitions`: orders to collectors carry it, and a collector refuses a lower one
than it has seen. It must therefore never go back, not even when someone deletes the Lease or reinstalls the
operator: a new record starts at the minutes since 2020, which grows faster than leaders change.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from workerpool_operator.kube import errors
from workerpool_operator.kube.kinds import LEASE, ObjectRef

_log = structlog.stdlib.get_logger(__name__)

Json = dict[str, Any]

ADDRESS_ANNOTATION: Final = "workerpool.dev/leader-address"
"""Where the holder can be reached by the other replicas, host:port."""
_JITTER: Final = 0.2
_RELEASE_TIMEOUT_SECONDS: Final = 2.0
_SHORTEST_PAUSE_SECONDS: Final = 0.05
_EPOCH_ZERO: Final = datetime(2020, 1, 1, tzinfo=UTC)


class LeaseApi(Protocol):
    """What the elector needs of :class:`.client.Kube`.

    Give it a client of its own, without a write gate: renewals must not wait behind the controller's requests.
    """

    async def get(self, ref: ObjectRef) -> Json:
        """The lease; raises NotFound."""

    async def create(self, obj: Json) -> Json:
        """Make the lease; raises AlreadyExists."""

    async def merge_patch(self, ref: ObjectRef, patch: Json, *, resource_version: str | None = None) -> Json:
        """Change the lease; raises Conflict when it is not at `resource_version` any more."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds. A dead leader is replaced in 11.4 to 17.4 s, a stopped one in 2.4 at most.

    client-go's, but for the renewals: at rest they are most of what the operator asks of the API server, and fewer are
    enough, as one that failed is followed by the next after `retry_seconds`.
    """

    duration_seconds: float = 15.0
    deadline_seconds: float = 10.0
    renew_seconds: float = 3.0
    """From when one renewal is sent to the next."""
    retry_seconds: float = 1.0
    """After a renewal that failed."""
    look_seconds: float = 2.0
    """Of a replica that does not lead, from one look at the record to the next."""

    def __post_init__(self) -> None:
        second_try = (self.renew_seconds + self.retry_seconds) * (1 + _JITTER)
        if not self.duration_seconds > self.deadline_seconds > second_try:
            raise ValueError("a lease needs duration > deadline > renew + retry with their jitter")


@dataclass(frozen=True, slots=True)
class _Record:
    """The lease as it was last seen."""

    holder: str
    epoch: int
    duration_seconds: float
    resource_version: str
    address: str

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> "_Record":
        spec = obj.get("spec") or {}
        annotations = obj["metadata"].get("annotations") or {}
        return cls(
            holder=spec.get("holderIdentity") or "",
            epoch=int(spec.get("leaseTransitions") or 0),
            duration_seconds=float(spec.get("leaseDurationSeconds") or 0),
            resource_version=obj["metadata"]["resourceVersion"],
            address=annotations.get(ADDRESS_ANNOTATION) or "",
        )


class LeaderElector:
    """Takes the lease, keeps it, and knows at each moment whether this process may write."""

    def __init__(
        self,
        api: LeaseApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        address: str = "",
        times: LeaseTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; nothing happens until :meth:`run`.

        `identity` must be unique to this **process** (the pod's name and something random): a restarted
        container must wait for its own predecessor's lease, whose last write may still be on its way. `address` is
        written beside it: where the others reach this process while it leads.
        """
        self._api = api
        self._ref = ObjectRef(LEASE, namespace, name)
        self._identity = identity
        self._address = address
        self._times = times or LeaseTimes()
        self._clock = clock
        self._wall_clock = wall_clock
        self._record: _Record | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None
        self._highest_epoch = -1
        self._told = False
        self._leads = asyncio.Event()
        self._callbacks: list[Callable[[bool], None]] = []

    @property
    def leading(self) -> bool:
        """Whether this process may write, at this very moment."""
        return self._clock() < self.leads_until

    @property
    def leads_until(self) -> float:
        """Until when this process leads unless it renews the lease: in the past while it does not lead."""
        return -math.inf if self._renewed_at is None else self._renewed_at + self._times.deadline_seconds

    @property
    def epoch(self) -> int:
        """`leaseTransitions` as last seen: while this process leads, that of its own term."""
        return self._record.epoch if self._record else 0

    @property
    def holder(self) -> str:
        """Identity of the last known holder; empty when nobody is known to hold the lease."""
        return self._record.holder if self._record else ""

    @property
    def holder_address(self) -> str:
        """Where the last known holder says that it can be reached; empty when it says nothing, or nobody holds it."""
        return self._record.address if self._record and self._record.holder else ""

    def check(self) -> None:
        """Raise NotLeader unless this process leads: the gate before every write."""
        if not self.leading:
            raise errors.NotLeader(f"the lease is held by {self.holder or 'nobody'}")

    def on_change(self, callback: Callable[[bool], None]) -> None:
        """Have `callback(leading)` called after each change, from the task that runs the elector."""
        self._callbacks.append(callback)

    async def wait_leading(self) -> None:
        """Return as soon as this process leads."""
        while not self.leading:
            await self._leads.wait()
            if not self.leading:
                # The deadline has passed and `run` has not told it yet: waiting on a set event would not yield.
                await asyncio.sleep(0.05)

    async def run(self) -> None:
        """Take part in the election until cancelled, then hand the lease back.

        Cancel it **after** the last write of this process has ended: from then on another one leads.
        """
        try:
            while True:
                before = self._renewed_at
                await self._attempt()
                self._tell()
                await asyncio.sleep(self._pause_seconds(renewed=self._renewed_at != before))
                self._tell()
        finally:
            await self._release()

    async def _attempt(self) -> None:
        """Take or renew the lease once; a failure is logged and means nothing until the deadline."""
        budget = self._times.deadline_seconds / 2
        if self.leading and self._renewed_at is not None:
            # Wake up at the deadline, whatever the request is waiting for, so that the change is told in time.
            budget = min(budget, self._renewed_at + self._times.deadline_seconds - self._clock())
        try:
            async with asyncio.timeout(max(budget, 0.0)):
                await self._take_or_renew()
        except errors.Conflict:
            self._log_failure("somebody else changed the lease first")
        except errors.KubeError as error:
            self._log_failure(str(error))
        except TimeoutError:
            self._log_failure("no answer in time")

    async def _take_or_renew(self) -> None:
        sent_at = self._clock()
        if self.leading and self._record:
            # A refusal may come from our own renewal, whose answer was lost: then look.
            with suppress(errors.Conflict, errors.NotFound):
                await self._write(self._record, sent_at=sent_at, epoch=self._record.epoch)
                return
        record = await self._observe()
        if record is None:
            if not self._may_be_held():
                await self._create(sent_at)
        elif record.holder == self._identity:
            await self._write(record, sent_at=sent_at, epoch=record.epoch)
        else:
            self._renewed_at = None
            if not self._may_be_held():
                epoch = max(record.epoch, self._highest_epoch) + 1
                await self._write(record, sent_at=sent_at, epoch=epoch)

    async def _observe(self) -> _Record | None:
        """Read the record, and note when it was first seen like this; None when there is none (any more)."""
        try:
            record = _Record.of(await self._api.get(self._ref))
        except errors.NotFound:
            return None
        if record != self._record:
            self._record, self._seen_at = record, self._clock()
            self._highest_epoch = max(self._highest_epoch, record.epoch)
        return record

    def _may_be_held(self) -> bool:
        """Whether the last record seen names another holder whose time is not up.

        Also asked when the lease is gone: its holder may not have noticed yet.
        """
        return self._left_to_other() > 0

    def _left_to_other(self) -> float:
        """Seconds until the time of another holder is up; 0 or less when it is, or when there is none."""
        record = self._record
        if record is None or record.holder in ("", self._identity):
            return 0.0
        return self._seen_at + max(record.duration_seconds, self._times.duration_seconds) - self._clock()

    async def _create(self, sent_at: float) -> None:
        first = int((self._wall_clock() - _EPOCH_ZERO).total_seconds() // 60)
        epoch = max(first, self._highest_epoch + 1)
        spec = self._spec(epoch) | {"acquireTime": self._now_text()}
        metadata: Json = {"namespace": self._ref.namespace, "name": self._ref.name}
        if self._address:
            metadata["annotations"] = {ADDRESS_ANNOTATION: self._address}
        lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
        self._won(await self._api.create(lease), sent_at=sent_at)

    async def _write(self, record: _Record, *, sent_at: float, epoch: int) -> None:
        spec = self._spec(epoch)
        if record.holder != self._identity:
            spec["acquireTime"] = self._now_text()
        # Always the holder's own address, also none: that of a predecessor must not stay.
        patch = {"metadata": {"annotations": {ADDRESS_ANNOTATION: self._address or None}}, "spec": spec}
        answer = await self._api.merge_patch(self._ref, patch, resource_version=record.resource_version)
        self._won(answer, sent_at=sent_at)

    def _won(self, answer: Json, *, sent_at: float) -> None:
        self._record = _Record.of(answer)
        self._seen_at = self._clock()
        self._highest_epoch = max(self._highest_epoch, self._record.epoch)
        self._renewed_at = sent_at

    def _spec(self, epoch: int) -> Json:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._times.duration_seconds),
            "leaseTransitions": epoch,
            "renewTime": self._now_text(),
        }

    def _now_text(self) -> str:
        return self._wall_clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _pause_seconds(self, *, renewed: bool) -> float:
        """Until the next attempt, or until the deadline or the other's expiry if that is sooner."""
        spread = random.uniform(1, 1 + _JITTER)  # noqa: S311  spreads load
        if self._renewed_at is not None and self.leading:
            since = self._clock() - self._renewed_at  # it was sent, from when the deadline counts, too
            pause = self._times.renew_seconds * spread - since if renewed else self._times.retry_seconds * spread
            left = self._times.deadline_seconds - since
        else:
            pause = self._times.look_seconds * spread
            left = self._left_to_other()
            if left <= 0:  # it may be had, and was not: not asked for all the time
                left = math.inf
        return max(min(pause, left), _SHORTEST_PAUSE_SECONDS)

    def _tell(self) -> None:
        leading = self.leading
        if leading == self._told:
            return
        self._told = leading
        if leading:
            self._leads.set()
            _log.info("leading", lease=str(self._ref), identity=self._identity, epoch=self.epoch)
        else:
            self._leads.clear()
            _log.warning("not leading any more", lease=str(self._ref), holder=self.holder)
        for callback in self._callbacks:
            callback(leading)

    def _log_failure(self, why: str) -> None:
        if self._told:
            _log.warning("the lease was not renewed", lease=str(self._ref), why=why)
        else:
            _log.debug("the lease was not taken", lease=str(self._ref), why=why)

    async def _release(self) -> None:
        """Stop leading now, and say so in the record, so that a standby need not wait for it to run out."""
        held, self._renewed_at = self._renewed_at is not None, None
        self._tell()
        if not held:
            return
        with suppress(errors.KubeError, TimeoutError):  # then it runs out, as after a crash
            async with asyncio.timeout(_RELEASE_TIMEOUT_SECONDS):
                record = await self._observe()  # a renewal may have been cut off before its answer
                if record is not None and record.holder == self._identity:
                    await self._api.merge_patch(
                        self._ref, {"spec": self._released()}, resource_version=record.resource_version
                    )

    def _released(self) -> Json:
        return {"holderIdentity": None, "leaseDurationSeconds": 1, "renewTime": self._now_text()}
