"""Makes what a queue is made of, unless it is there.

The stream is a work queue: what is acknowledged is gone, and what was never handed out stays if a consumer is deleted,
so it holds just the jobs that are not finished. One with limits would keep what is done, and would have to be told what
may go. It is made with three replicas where there is a cluster; who wants others makes the stream himself.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from workerpool.broker._nats import stored
from workerpool.broker._nats.answers import (
    CONSUMER_EXISTS,
    CONSUMER_NOT_FOUND,
    NAME_IN_USE,
    NO_CLUSTER,
    STREAM_NOT_FOUND,
    ApiError,
)
from workerpool.broker._nats.link import NatsLink
from workerpool.broker._nats.names import Names
from workerpool.errors import QueueNotFound

DEDUPLICATION_SECONDS: Final = 600.0
"""How long a job id is remembered: longer than any producer's retries, short enough to cost little memory."""
_REPLICAS: Final = 3
_MOST_PULLS: Final = 10_000
"""That may wait at a time: one or two for each worker."""


class Topology:
    """Of one queue."""

    def __init__(self, link: NatsLink, names: Names) -> None:
        self._link = link
        self._names = names
        self._made_for = -1
        self._heard_for = -1
        self._created = ""
        self._void = 0
        """Up to here, what the bucket has is of a stream that is gone."""
        self.made_anew = False
        """The stream is not the one that was there when we last looked. For who heeds it to set back."""

    def doubt(self) -> None:
        """Something of it may be gone."""
        self._made_for = -1

    async def ensure(self, lease: float) -> None:
        """Once for each connection: a replica that took over may not have it. `lease`: of new consumers, seconds.

        Raises:
            QueueNotFound: it is not there and cannot be made, or what is there is no queue.
            BrokerError: another of its kinds.
        """
        if self._made_for == self._link.generation:
            return
        names = self._names
        subjects = [names.jobs, names.again, f"{names.later}*", names.dead, names.settled]
        stream = await self._stream(
            names.stream,
            {
                "subjects": subjects,
                "retention": "workqueue",
                "discard": "old",
                "duplicate_window": ns(DEDUPLICATION_SECONDS),
                "allow_msg_schedules": True,
                "allow_msg_ttl": True,
            },
        )
        self._heard(stream)
        await self._stream(
            names.bucket_stream,
            {
                "subjects": [f"{names.key_prefix}>"],
                "max_msgs_per_subject": 1,
                "discard": "new",
                "allow_rollup_hdrs": True,
                "deny_delete": True,
            },
        )
        if self._void:  # checkpoints of jobs that had the numbers of the new one's
            subject = f"{names.key_prefix}checkpoint.>"
            await stored.purge(self._link, names.bucket_stream, subject, below=self._void + 1)
            self._void = 0
        for subject, consumer in names.consumers.items():
            await self._consumer(subject, consumer, lease)
        self._made_for = self._link.generation

    async def look_again(self) -> None:
        """Somebody else may have made the stream anew, and nothing tells those who only work on what they have."""
        try:
            self._heard(await self._link.api(f"STREAM.INFO.{self._names.stream}"))
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            self.doubt()

    @property
    def is_heard(self) -> bool:
        """Whether we know, on this connection, which stream it is."""
        return self._link.connected and self._heard_for == self._link.generation

    def _heard(self, stream: Mapping[str, Any]) -> None:
        self._heard_for = self._link.generation
        created = str(stream.get("created", ""))
        self.made_anew = self.made_anew or self._created not in {"", created}
        self._created = created

    async def put_in_force(self, lease: float, *, instead_of: Callable[[float], bool]) -> None:
        """Make this the lease of each consumer that has another one of these, for jobs in flight too, in seconds.

        One by one: who died in between has changed one of them, and leaves the other to the next who looks.
        """
        for subject, consumer in self._names.consumers.items():
            there = await self._configuration(consumer)
            if instead_of(seconds(there.get("ack_wait", 0))):
                await self._make_consumer(subject, consumer, {**there, "ack_wait": ns(lease)}, "update")

    async def _configuration(self, consumer: str) -> Mapping[str, Any]:
        answer = await self._link.api(f"CONSUMER.INFO.{self._names.stream}.{consumer}")
        found: Mapping[str, Any] = answer.get("config", {})
        return found

    async def _stream(self, name: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the server says of it."""
        try:
            there: Mapping[str, Any] = await self._link.api(f"STREAM.INFO.{name}")
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            before = await self._last_in_bucket() if name == self._names.stream else 0
            there = await self._make_stream({"name": name, "storage": "file", **wanted})
            if before and not there.get("state", {}).get("last_seq"):  # nobody has used the new one
                self._void = before
        _check(name, there.get("config", {}), wanted)
        return there

    async def _last_in_bucket(self) -> int:
        try:
            there = await self._link.api(f"STREAM.INFO.{self._names.bucket_stream}")
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            return 0
        return int(there.get("state", {}).get("last_seq", 0))

    async def _make_stream(self, configuration: dict[str, Any]) -> Mapping[str, Any]:
        name = configuration["name"]
        for replicas in (_REPLICAS, 1):
            try:
                made = await self._link.api(f"STREAM.CREATE.{name}", {**configuration, "num_replicas": replicas})
            except ApiError as error:
                if error.code == NO_CLUSTER and replicas > 1:
                    continue
                if error.code == NAME_IN_USE:  # somebody else has just made it
                    made = await self._link.api(f"STREAM.INFO.{name}")
                else:
                    raise QueueNotFound(f"stream {name} is not there and cannot be made: {error}") from error
            return made
        raise QueueNotFound(f"stream {name} is not there and cannot be made")

    async def _consumer(self, subject: str, consumer: str, lease: float) -> None:
        try:
            await self._link.api(f"CONSUMER.INFO.{self._names.stream}.{consumer}")
        except ApiError as error:
            if error.code != CONSUMER_NOT_FOUND:
                raise
            configuration = {
                "durable_name": consumer,
                "filter_subject": subject,
                "ack_policy": "explicit",
                "ack_wait": ns(lease),
                "deliver_policy": "all",
                "replay_policy": "instant",
                "max_deliver": -1,
                "max_ack_pending": -1,
                "max_waiting": _MOST_PULLS,
            }
            await self._make_consumer(subject, consumer, configuration, "create")

    async def _make_consumer(self, subject: str, consumer: str, configuration: Mapping[str, Any], action: str) -> None:
        body = {"stream_name": self._names.stream, "config": configuration, "action": action}
        try:
            await self._link.api(f"CONSUMER.CREATE.{self._names.stream}.{consumer}.{subject}", body)
        except ApiError as error:
            if error.code not in CONSUMER_EXISTS or action != "create":  # else somebody else has just made it
                raise QueueNotFound(f"consumer {consumer} cannot be made or changed: {error}") from error


def ns(duration: float) -> int:
    """Nanoseconds, as JetStream counts."""
    return round(duration * 1e9)


def seconds(nanoseconds: object) -> float:
    """From JetStream's count."""
    return nanoseconds / 1e9 if isinstance(nanoseconds, int) else 0.0


def _check(name: str, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Whether a stream that somebody else has made will do."""
    root = wanted["subjects"][0].partition(".")[0]
    if f"{root}.>" not in there.get("subjects", ()) and not set(wanted["subjects"]) <= set(there.get("subjects", ())):
        raise QueueNotFound(f"stream {name} is there and lacks subjects: it needs {', '.join(wanted['subjects'])}")
    for field in ("retention", "allow_msg_schedules", "max_msgs_per_subject"):
        if field in wanted and there.get(field) != wanted[field]:
            raise QueueNotFound(f"stream {name} is there and is no queue: it needs {field} {wanted[field]!r}")
