"""What the reconcilers need of the stream endpoint; `workerpool_operator.serve` provides it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from workerpool.protocol import Delivery, Share
from workerpool_operator.domain.scaling import Forecast, Traffic
from workerpool_operator.domain.stuck import Conduct, Waiting
from workerpool_operator.protocol import PodReport, PoolConfig, QueueSample, WorkerReport


class PoolView(Protocol):
    """What the collectors last said of one pool. Ages are as of now."""

    @property
    def samples(self) -> tuple[QueueSample, ...]:
        """Readings of its queues."""

    @property
    def workers(self) -> tuple[WorkerReport, ...]:
        """Its workers."""

    @property
    def pods(self) -> tuple[PodReport, ...]:
        """Its pods that are not plainly well."""

    @property
    def collectors_connected(self) -> int:
        """Streams from the namespace."""

    @property
    def conducts(self) -> Mapping[str, Conduct]:
        """Pod uid -> what its worker has done of late."""

    @property
    def waiting(self) -> Mapping[str, Waiting]:
        """Queue -> how long jobs have been waiting in it."""

    @property
    def traffic(self) -> Traffic:
        """How fast jobs come, and how long they take."""

    @property
    def forecast(self) -> Forecast | None:
        """How fast they are expected to come; None: nobody has said anything of it."""


class Streams(Protocol):
    """Both directions: what collectors say, and the orders that they hold."""

    def view(self, namespace: str, pool: str) -> PoolView:
        """The newest that is known of the pool."""

    def send_config(self, namespace: str, pools: tuple[PoolConfig, ...]) -> None:
        """All pools of the namespace."""

    def fence(self, namespace: str, pool: str, fence_id: str, pods: Iterable[str]) -> None:
        """The pods (uids) that take nothing more, until said otherwise; empty releases all."""

    def settings(self, namespace: str, pool: str, delivery: Delivery, shares: Mapping[str, Share]) -> None:
        """Live settings of the pool's workers; by pod uid, what each may begin of the pool's rate limit."""

    def read_now(self, namespace: str, pool: str, read_id: str) -> None:
        """Ask for fresh readings at once."""

    def forget(self, namespace: str, pool: str) -> None:
        """The pool is gone."""
