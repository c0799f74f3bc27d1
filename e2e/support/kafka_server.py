"""A Kafka of our own on this machine: one process that is broker and controller (KRaft)."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from e2e.cluster.ports import free_ports
from e2e.support import kafka_jars
from e2e.support.own_server import OwnServer, ServerDoesNotStart

_JAVA: Final = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # starts in half the time
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)
_CLUSTER: Final = "d29ya2VycG9vbC1rYWZrYQ"
_START_SECONDS: Final = 90.0
_MINIMAL: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # Before a broker that was killed is let in again, its former life has to end.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "250",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "background.threads": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
}
_API_VERSIONS: Final = struct.pack(">hhih", 18, 0, 1, -1)
"""A request that every Kafka answers whoever asks."""


class KafkaServer(OwnServer):
    """A Kafka on a free port of this machine, with its files in `folder`.

    What it has acknowledged is in its files' pages, so `kill` loses nothing that a client was told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
        options: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`users`: passwords by name; then nobody gets in without (SASL: PLAIN, SCRAM-SHA-512).

        `tls`: certificate and key; then it speaks nothing else. `options`: lines of server.properties. `host`: the
        address of this machine where clients are let in, and are sent to.
        """
        super().__init__(folder)
        self._users = dict(users or {})
        self._tls = tls
        self._options = dict(options or {})
        self._host = host
        self.port, self._controller_port, self._internal_port = free_ports(3)

    @property
    def controller(self) -> str:
        """Where the other servers of its cluster reach it."""
        return f"127.0.0.1:{self._controller_port}"

    def join(self, controllers: Sequence[str], number: int) -> None:
        """Before the start: it is that one of these, and all have everything. It answers when most of them do."""
        count = str(len(controllers))
        self._options |= {
            "node.id": str(number),
            "controller.quorum.voters": ",".join(f"{one}@{address}" for one, address in enumerate(controllers)),
            "min.insync.replicas": str(len(controllers) // 2 + 1),
            "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count,
        }

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'kafka+ssl' if self._tls else 'kafka'}://{self._host}:{self.port}"

    def start(self) -> None:
        """Start (again, on the same port and files) and wait until it answers."""
        try:
            kafka_jars.ensure()
        except kafka_jars.KafkaMissingError as error:
            raise ServerDoesNotStart(str(error)) from error
        self._folder.mkdir(parents=True, exist_ok=True)
        self._configure()
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        self._launch([*self._java(), "kafka.Kafka", self._properties])
        self._wait("kafka", seconds=_START_SECONDS)

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _java(self) -> list[str | Path]:
        return [kafka_jars.java(), *_JAVA, "-cp", kafka_jars.class_path()]

    def _configure(self) -> None:
        protocol = f"{'SASL_' if self._users else ''}{'SSL' if self._tls else 'PLAINTEXT'}"
        listeners = {
            "CLIENT": f"{self._host}:{self.port}",
            "CONTROLLER": f"127.0.0.1:{self._controller_port}",
            "INTERNAL": f"127.0.0.1:{self._internal_port}",
        }
        options = {
            **_MINIMAL,
            "log.dirs": str(self._folder / "data"),
            "listeners": ",".join(f"{name}://{address}" for name, address in listeners.items()),
            "listener.security.protocol.map": f"CLIENT:{protocol},CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            **self._of_users(),
            **self._of_tls(),
            **self._options,
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in options.items()))

    def _of_users(self) -> dict[str, str]:
        if not self._users:
            return {}
        logins = " ".join(f'user_{name}="{password}"' for name, password in self._users.items())
        plain = f"org.apache.kafka.common.security.plain.PlainLoginModule required {logins};"
        prefix = "listener.name.client"
        return {
            f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{prefix}.plain.sasl.jaas.config": plain,
            f"{prefix}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        }

    def _of_tls(self) -> dict[str, str]:
        if self._tls is None:
            return {}
        both = self._folder / "server.pem"
        both.write_text("".join(path.read_text() for path in reversed(self._tls)))
        return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(both)}

    def _format(self) -> None:
        users = [
            word
            for name, password in self._users.items()
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        command = [*self._java(), "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", self._properties]
        done = subprocess.run([*command, *users], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise ServerDoesNotStart(f"kafka cannot format its storage: {done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self._host, self.port), timeout=1) as probe:
                if self._tls:
                    return True
                probe.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
                return bool(probe.recv(4))
        except OSError:
            return False


def cluster_of(folder: Path, count: int) -> list[KafkaServer]:
    """Servers that are one Kafka when they are started, all at once."""
    servers = [KafkaServer(folder / f"kafka-{number}") for number in range(count)]
    for number, server in enumerate(servers):
        server.join([one.controller for one in servers], number)
    return servers


async def make_topic(url: str, name: str, *, partitions: int = 1, replicas: int = 1) -> None:
    """As whoever runs a Kafka does before its first worker."""
    # aiokafka is large, and this module is loaded for every test.
    from workerpool.broker import Credentials  # noqa: PLC0415
    from workerpool.broker._kafka.address import KafkaAddress  # noqa: PLC0415
    from workerpool.broker._kafka.link import KafkaLink  # noqa: PLC0415

    link = KafkaLink(KafkaAddress.parse(url), Credentials(), timeout=10, name="make-topic")
    try:
        async with link.calling():
            await link.create({name: partitions}, replicas=replicas)
    finally:
        await link.drop()
