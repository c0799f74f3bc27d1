"""A Kafka cluster: how one dials it, questions about topics and offsets, and what its failures mean.

aiokafka's client says of a cluster that cannot be had only that it cannot, and logs why; so who fails to reach it dials
once more, by hand, for the reason.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import TopicPartition, errors
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateTopicsRequest, DeleteRecordsRequest
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from workerpool.broker._credentials import Credentials
from workerpool.broker._kafka.address import KafkaAddress
from workerpool.broker._kafka.ending import ended
from workerpool.broker._kafka.failures import meaning, of_code
from workerpool.broker._kafka.ledger import Committed
from workerpool.errors import AuthenticationFailed, BrokerUnavailable, QueueNotFound

EARLIEST: Final = -2
LATEST: Final = -1
COMMITTED_ONLY: Final = 1
"""Isolation: what belongs to a transaction that may still be aborted is not there."""
_ANY_NODE: Final = -1
_GOODBYE_SECONDS: Final = 1.0
_PASSING: Final = (
    errors.GroupCoordinatorNotAvailableError,
    errors.NotCoordinatorForGroupError,
    errors.GroupLoadInProgressError,
    errors.LeaderNotAvailableError,
    errors.NotLeaderForPartitionError,
    errors.StaleMetadata,
)
"""Passes by itself, within moments: who asks, asks again until the time is over."""
_AGAIN_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Topic:
    """What the cluster says of one."""

    leaders: Mapping[int, int] = field(default_factory=dict)
    """By partition: which server has it."""
    replicas: int = 1


class KafkaLink:
    """Questions to one cluster, each answered or failed within `timeout` seconds."""

    def __init__(self, address: KafkaAddress, credentials: Credentials, *, timeout: float, name: str) -> None:
        log = logging.getLogger("aiokafka")
        if log.level == logging.NOTSET:  # it logs each attempt to dial; what comes of them our errors tell
            log.setLevel(logging.CRITICAL)
        self._address = address
        self._credentials = credentials
        self.timeout = timeout
        self._name = name
        self._client: Any = None
        self._dialling = asyncio.Lock()
        self._coordinators: dict[str, int] = {}
        self.cluster = ""
        """The cluster's id; empty until it has answered."""

    @property
    def where(self) -> str:
        """The servers, for people."""
        return ",".join(self._address.hosts)

    @property
    def connected(self) -> bool:
        """Whether the latest answer was one."""
        return self._client is not None

    def options(self) -> dict[str, Any]:
        """How aiokafka's clients are to dial. Reads the files with credentials.

        Raises:
            CredentialsMissing: one of them is not there.
        """
        username = self._credentials.username() or self._address.username
        password = self._credentials.password() or self._address.password
        protocol = f"{'SASL_' if username else ''}{'SSL' if self._address.tls else 'PLAINTEXT'}"
        options: dict[str, Any] = {"security_protocol": protocol, "ssl_context": self._tls()}
        if username:
            options |= {
                "sasl_mechanism": self._address.sasl,
                "sasl_plain_username": username,
                "sasl_plain_password": password or "",
            }
        return options

    @property
    def bootstrap(self) -> list[str]:
        """Who is asked first where the others are."""
        return list(self._address.hosts)

    @asynccontextmanager
    async def calling(self, *, wait: float = 0.0) -> AsyncIterator[None]:
        """For one or a few calls: their errors become those of brokers. `wait`: seconds beyond the timeout.

        Raises:
            BrokerError: one of its kinds.
        """
        try:
            async with asyncio.timeout(self.timeout + wait):
                yield
        except (errors.KafkaError, errors.ConsumerStoppedError, TimeoutError, OSError) as error:
            raise await self.reason(error) from error

    async def reason(self, error: BaseException) -> Exception:
        """What to tell of an error of aiokafka, or of none that came in time."""
        found: Exception | None = meaning(error, where=self.where)
        silent = isinstance(error, TimeoutError)
        if isinstance(found, BrokerUnavailable) or silent:
            await self.drop()
            found = await self._why() or found
        if found is None or (silent and isinstance(found, BrokerUnavailable)):
            found = BrokerUnavailable(f"{self.where}: no answer within {self.timeout:g} s")
        return found

    async def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Those of them that there are. No topic is made by asking."""
        answer = await self.ask(_ANY_NODE, MetadataRequest(list(names), allow_auto_topic_creation=False))
        self.cluster = answer.cluster_id
        found = {}
        for code, name, _, partitions in answer.topics:
            error = of_code(code)
            if isinstance(error, errors.UnknownTopicOrPartitionError):
                continue
            if error is not None:
                raise type(error)(name)
            found[name] = Topic(
                leaders={number: leader for _, number, leader, *_ in partitions},
                replicas=max((len(replicas) for _, _, _, replicas, *_ in partitions), default=1),
            )
        return found

    async def topic(self, name: str) -> Topic:
        """The one of this name.

        Raises:
            QueueNotFound: there is none.
        """
        found = await self.topics([name])
        if name not in found:
            raise QueueNotFound(
                f"{self.where}: there is no topic '{name}': make it, with as many partitions as workers are to run"
            )
        return found[name]

    async def offsets(self, topics: Mapping[str, Topic], at: int) -> dict[TopicPartition, int]:
        """Of all partitions of these topics: `EARLIEST`, or `LATEST`, the one that comes next."""
        while True:
            try:
                return await self._offsets(topics, at)
            except (*_PASSING, errors.UnknownTopicOrPartitionError):  # it was made, or moved, a moment ago
                await asyncio.sleep(_AGAIN_SECONDS)
                topics = await self.topics(topics)

    async def _offsets(self, topics: Mapping[str, Topic], at: int) -> dict[TopicPartition, int]:
        by_node: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for name, topic in topics.items():
            for number, leader in topic.leaders.items():
                by_node.setdefault(leader, {}).setdefault(name, []).append((number, at))
        found = {}
        for node, asked in by_node.items():
            answer = await self.ask(node, OffsetRequest(-1, COMMITTED_ONLY, list(asked.items())))
            for name, partitions in answer.topics:
                for number, code, _, offset in partitions:
                    if (error := of_code(code)) is not None:
                        raise error
                    found[TopicPartition(name, number)] = offset
        return found

    async def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Committed]:
        """What a group has committed of these; those of which it has committed nothing are left out."""
        asked: dict[str, list[int]] = {}
        for one in partitions:
            asked.setdefault(one.topic, []).append(one.partition)
        if not asked:
            return {}
        answer = await self._of_group(group, OffsetFetchRequest(group, list(asked.items())))
        found = {}
        for name, states in answer.topics:
            for number, offset, text, code in states:
                if (error := of_code(code)) is not None:
                    raise error
                if offset >= 0:
                    found[TopicPartition(name, number)] = Committed(offset, text or "")
        return found

    async def commit(self, group: str, partition: TopicPartition, committed: Committed) -> None:
        """For a group that has no members."""
        states = [(partition.topic, [(partition.partition, committed.offset, committed.text)])]
        request = OffsetCommitRequest(group, -1, "", OffsetCommitRequest.DEFAULT_RETENTION_TIME, states)
        answer = await self._of_group(group, request)
        for _, partitions in answer.topics:
            for _, code in partitions:
                if (error := of_code(code)) is not None:
                    raise error

    async def create(self, topics: Mapping[str, int], *, replicas: int) -> None:
        """Make topics with so many partitions each, from which nothing is deleted by age."""
        keep = [("retention.ms", "-1"), ("cleanup.policy", "delete")]
        wanted: list[Any] = [(name, partitions, replicas, [], keep) for name, partitions in topics.items()]
        request = CreateTopicsRequest(wanted, round(self.timeout * 1000), False)  # noqa: FBT003  aiokafka's
        client = await self._bootstrapped()
        controller = client.cluster.controller
        answer = await self.ask(_ANY_NODE if controller is None else controller.nodeId, request)
        for name, code, *_ in answer.topic_errors:
            error = of_code(code)
            if error is not None and not isinstance(error, errors.TopicAlreadyExistsError):
                raise type(error)(f"topic '{name}' cannot be made")
        while True:  # other servers learn of it a moment later
            if len(await self.topics(topics)) == len(topics):
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def delete_before(self, topic: Topic, offsets: Mapping[TopicPartition, int]) -> None:
        """Let Kafka delete the records before these offsets."""
        for one, offset in offsets.items():
            request = DeleteRecordsRequest([(one.topic, [(one.partition, offset)])], round(self.timeout * 1000))
            await self.ask(topic.leaders[one.partition], request)

    async def drop(self) -> None:
        """The next question dials anew."""
        client, self._client = self._client, None
        self._coordinators.clear()
        if client is not None:
            await ended(client.close(), seconds=_GOODBYE_SECONDS)

    async def _of_group(self, group: str, request: Any) -> Any:
        """An answer of the server that keeps this group's offsets; who that is may change, or not be settled yet."""
        while True:
            try:
                if group not in self._coordinators:
                    client = await self._bootstrapped()
                    self._coordinators[group] = await client.coordinator_lookup(0, group)
                answer = await self.ask(self._coordinators[group], request)
                codes = [code for _, partitions in answer.topics for *_, code in partitions]
                for error in (of_code(code) for code in codes):
                    if isinstance(error, _PASSING):
                        raise error
            except _PASSING:
                self._coordinators.pop(group, None)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return answer

    async def ask(self, node: int, request: Any, *, group: ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
        """One answer. `group`: over which of the connections to that server."""
        client = await self._bootstrapped()
        return await client.send(client.get_random_node() if node == _ANY_NODE else node, request, group=group)

    async def _bootstrapped(self) -> Any:
        async with self._dialling:
            if self._client is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self.bootstrap,
                    client_id=self._name,
                    request_timeout_ms=round(self.timeout * 1000),
                    **self.options(),
                )
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    def _tls(self) -> ssl.SSLContext | None:
        if not self._address.tls:
            return None
        files = self._credentials
        files.require_tls_files()
        context = ssl.create_default_context(cafile=files.ca_file)
        if files.cert_file is not None:
            context.load_cert_chain(files.cert_file, files.key_file)
        return context

    async def _why(self) -> Exception | None:
        """Dial each of the servers by hand; None: one of them answers."""
        found: Exception | None = None
        options = self.options()
        for host in self._address.hosts:
            name, _, port = host.rpartition(":")
            milliseconds = round(min(self.timeout, 2.0) * 1000)
            try:
                connection = await create_conn(
                    name.strip("[]"), int(port), client_id=self._name, request_timeout_ms=milliseconds, **options
                )
                try:
                    await connection.send(MetadataRequest([]))
                finally:
                    connection.close()
            except (errors.KafkaError, TimeoutError, OSError) as error:
                found = meaning(error, where=host) or BrokerUnavailable(f"{host}: {error}")
                if isinstance(error, TimeoutError):
                    found = BrokerUnavailable(f"{host}: no answer within {self.timeout:g} s")
                elif isinstance(error, errors.KafkaConnectionError) and not options.get("sasl_mechanism"):
                    found = AuthenticationFailed(f"{host}: ends the connection of who has not logged in")
            else:
                return None
        return found
