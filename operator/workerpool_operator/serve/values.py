"""The numbers that the metrics API gives out, and for how long each of them may be believed.

Two sides write: the reconciler publishes what it decided, and `StreamState` tells of each reading of a queue until when
it counts. A value is as fresh as the readings that it follows from, so a pool at rest, whose size nobody decides anew,
stays fresh as long as its queues are read; when the readings stop, the value lapses with them.

Written and read by the operator's event loop. The process that answers has a copy, which is told what has changed.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

FORGOTTEN_SECONDS: Final = 60.0

PoolId: TypeAlias = tuple[str, str]
"""Namespace and name of a pool."""
QueueId: TypeAlias = tuple[PoolId, str]
"""A queue of a pool, by its name."""


@dataclass(frozen=True, slots=True)
class Value:
    """A pool's wanted number of workers, as of a reading, and until when it may be believed; monotonic seconds."""

    value: int
    read_at: float
    fresh_until: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """When a queue was read, and until when that counts; monotonic seconds."""

    read_at: float
    fresh_until: float


@dataclass(frozen=True, slots=True)
class _Published:
    value: int
    queues: frozenset[str]


_NO_READINGS: Final[Mapping[str, _Reading]] = {}


class ValueBoard:
    """The values of all pools. Empty and closed while this replica does not lead."""

    def __init__(
        self,
        *,
        on_change: Callable[[Iterable[PoolId]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change(pools)` is called when what `get` says of these, or `open`, may have changed."""
        self._on_change = on_change
        self._clock = clock
        self._published: dict[PoolId, _Published] = {}
        self._readings: dict[PoolId, Mapping[str, _Reading]] = {}
        self._counting: set[QueueId] = set()
        """Queues whose latest reading counted when somebody last looked."""
        self._turned: set[PoolId] = set()
        self._next_lapse = math.inf
        """No reading of these lapses before."""
        self._open = False

    @property
    def open(self) -> bool:
        """Whether a term of this replica has begun: it knows which pools there are, and decides."""
        return self._open

    def begin(self) -> None:
        """A term begins, and what was published in an earlier one is void."""
        self._open = True
        self._clear()

    def end(self) -> None:
        """This replica leads no longer."""
        self._open = False
        self._clear()

    def publish(self, namespace: str, pool: str, value: int, *, queues: Collection[str]) -> None:
        """So many workers are wanted, decided on what is known of `queues` at this moment.

        Queues without a fresh reading had no part in the decision: the value does not wait for them.
        """
        if not self._open:
            return
        readings, now = self._readings.get((namespace, pool), _NO_READINGS), self._clock()
        known = frozenset(queues) & readings.keys()
        fresh = frozenset(queue for queue in known if readings[queue].fresh_until >= now)
        # None is fresh when the last has aged out since the decision: then the value is back when they all are.
        self._published[namespace, pool] = _Published(value, fresh or known)
        self._on_change([(namespace, pool)])

    def withdraw(self, namespace: str, pool: str) -> None:
        """The pool has no such number any more: it is gone, or a person sets its size."""
        if self._published.pop((namespace, pool), None) is not None:
            self._on_change([(namespace, pool)])

    def read(self, namespace: str, pool: str, queue: str, *, age: float, stale_after: float) -> None:
        """A queue of the pool was read `age` seconds ago; the reading counts until it is `stale_after` old."""
        readings = self._readings.get((namespace, pool), _NO_READINGS)
        read_at = self._clock() - age
        known = readings.get(queue)
        if known is None or known.read_at <= read_at:
            self._readings[namespace, pool] = {**readings, queue: _Reading(read_at, read_at + stale_after)}
            self._next_lapse = min(self._next_lapse, read_at + stale_after)
            if age <= stale_after and ((namespace, pool), queue) not in self._counting:
                self._counting.add(((namespace, pool), queue))
                self._turned.add((namespace, pool))
            if (namespace, pool) in self._published:
                self._on_change([(namespace, pool)])

    def turned(self) -> set[PoolId]:
        """Pools of which a reading has lapsed, or counts again, since this was last asked, whoever leads.

        Where all are read in time this costs nothing, however many there are.
        """
        if self._clock() > self._next_lapse:
            self._look_for_lapses()
        turned, self._turned = self._turned, set()
        return turned

    def _look_for_lapses(self) -> None:
        now, self._next_lapse = self._clock(), math.inf
        for pool, queue in list(self._counting):
            reading = self._readings.get(pool, _NO_READINGS).get(queue)
            if reading is None or reading.fresh_until < now:
                self._counting.discard((pool, queue))
                self._turned.add(pool)
            else:
                self._next_lapse = min(self._next_lapse, reading.fresh_until)

    def tidy(self) -> None:
        """Forget queues and pools whose readings have not counted for long."""
        limit = self._clock() - FORGOTTEN_SECONDS
        for pool, readings in list(self._readings.items()):
            kept = {queue: reading for queue, reading in readings.items() if reading.fresh_until >= limit}
            if not kept:
                del self._readings[pool]
            elif len(kept) < len(readings):
                self._readings[pool] = kept

    def get(self, namespace: str, pool: str) -> Value | None:
        """The pool's value, or None where there is none that may be believed now."""
        published = self._published.get((namespace, pool))
        readings = self._readings.get((namespace, pool), _NO_READINGS)
        if published is None or not published.queues or not published.queues <= readings.keys():
            return None
        used = [readings[queue] for queue in published.queues]
        fresh_until = min(reading.fresh_until for reading in used)
        if fresh_until < self._clock():
            return None
        return Value(published.value, read_at=min(reading.read_at for reading in used), fresh_until=fresh_until)

    def _clear(self) -> None:
        cleared, self._published = list(self._published), {}
        self._on_change(cleared)
