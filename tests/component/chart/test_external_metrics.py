"""Two replicas of the operator with the chart's rights: both answer for the sizes, one of them knows them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.ports import free_port
from tests.component.chart.conftest import NAMESPACE, OPERATOR, RELEASE, may, operator_process
from tests.support.waiting import until
from workerpool_operator.protocol import STREAM_PATH, TOKEN_AUDIENCE, QueueSample, Samples

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.usefixtures("served"),
    pytest.mark.timeout(420),  # two operators start, and one stops
]

HOME = "served"
VALUES = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{HOME}/workerpool_desired_replicas"
POOL = {
    "apiVersion": "workerpool.dev/v1alpha1",
    "kind": "WorkerPool",
    "metadata": {"name": "web"},
    "spec": {
        "worker": {"image": "registry.example/worker:1"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": "web", "group": "web"}}],
        "scaling": {"maxReplicas": 50},
    },
}


@pytest.fixture(scope="module")
def served(helm: Callable[..., str], kubectl: Callable[..., str], release: None) -> None:
    """The release with the external metrics API, and a pool in a namespace."""
    helm("upgrade", *RELEASE, "--set", "externalMetrics.enabled=true")
    config = ("get", "configmaps/extension-apiserver-authentication", "-n", "kube-system")
    wait_until(lambda: may(kubectl, OPERATOR, *config), seconds=60, what="the right to the front proxy's authority")
    review = ("create", "subjectaccessreviews.authorization.k8s.io")
    wait_until(lambda: may(kubectl, OPERATOR, *review), seconds=60, what="the right to reviews")
    kubectl("create", "namespace", HOME)
    kubectl("-n", HOME, "create", "serviceaccount", "workerpool-collector")


@dataclass
class Replica:
    """One process of the operator."""

    home: Path
    stream: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self, plane: ControlPlane, kubectl: Callable[..., str]) -> None:
        self.home.mkdir()
        environment = {
            "POD_NAME": self.home.name,
            "POD_IP": "127.0.0.1",
            "STREAM_PORT": str(self.stream),
            "EXTERNAL_METRICS_PORT": str(self.metrics),
        }
        self._stack.enter_context(operator_process(plane, kubectl, self.home, **environment))

    def stop(self) -> None:
        self._stack.close()


@pytest.fixture
def replicas(plane: ControlPlane, kubectl: Callable[..., str], tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    one, two = Replica(tmp_path / "one"), Replica(tmp_path / "two")
    try:
        one.start(plane, kubectl)
        two.start(plane, kubectl)
        yield one, two
    finally:
        one.stop()
        two.stop()


@dataclass
class Client:
    """A collector of the namespace that tells both replicas the same, and somebody who asks them for the size."""

    session: aiohttp.ClientSession
    context: ssl.SSLContext
    collector: str
    asker: str
    waiting: int | None = None

    async def tell(self, port: int) -> None:
        """Say how many jobs wait, twice a second, for as long as the replica listens; dial it again and again."""
        headers = {"Authorization": f"Bearer {self.collector}"}
        host = f"workerpool-operator-stream.{NAMESPACE}.svc"
        while True:
            with suppress(aiohttp.ClientError):
                async with self.session.ws_connect(
                    f"https://127.0.0.1:{port}{STREAM_PATH}", headers=headers, ssl=self.context, server_hostname=host
                ) as socket:
                    while not socket.closed:
                        if self.waiting is not None:
                            sample = QueueSample(queue="main", age_seconds=0, waiting=self.waiting, in_flight=0)
                            await socket.send_str(Samples(pool="web", samples=(sample,)).model_dump_json())
                        await asyncio.sleep(0.5)
            await asyncio.sleep(0.2)

    async def size(self, port: int) -> int | str:
        """The size that a replica tells, or why it tells none."""
        host = f"workerpool-operator-external-metrics.{NAMESPACE}.svc"
        try:
            async with self.session.get(
                f"https://127.0.0.1:{port}{VALUES}?labelSelector=pool%3Dweb",
                headers={"Authorization": f"Bearer {self.asker}"},
                ssl=self.context,
                server_hostname=host,
            ) as answer:
                document = await answer.json()
        except aiohttp.ClientError:
            return "no answer"
        return int(document["items"][0]["value"]) if answer.status == 200 else str(document["reason"])


@pytest.fixture
async def client(kubectl: Callable[..., str], replicas: tuple[Replica, Replica]) -> AsyncIterator[Client]:
    def token(namespace: str, account: str, *flags: str) -> str:
        return kubectl("-n", namespace, "create", "token", account, *flags).strip()

    context = ssl.create_default_context(cafile=str(replicas[0].home / "ca.crt"))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        made = Client(
            session,
            context,
            collector=token(HOME, "workerpool-collector", f"--audience={TOKEN_AUDIENCE}"),
            asker=token(NAMESPACE, "workerpool-operator"),
        )
        async with telling(made, *(replica.stream for replica in replicas)):
            yield made


@asynccontextmanager
async def telling(client: Client, *ports: int) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(client.tell(port)) for port in ports]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_replica_tells_the_same_and_goes_on_when_the_leader_goes(
    kubectl: Callable[..., str], plane: ControlPlane, replicas: tuple[Replica, Replica], client: Client
) -> None:
    async def both(wanted: int | str) -> bool:
        return [await client.size(replica.metrics) for replica in replicas] == [wanted, wanted]

    kubectl("-n", HOME, "apply", "-f", "-", stdin=json.dumps(POOL))
    client.waiting = 100
    await until(lambda: both(5), what="5 workers for 100 jobs, from both", seconds=60)
    client.waiting = 130
    await until(lambda: both(7), what="7 workers for 130 jobs, from both", seconds=60)
    client.waiting = None
    await until(lambda: both("ServiceUnavailable"), what="that nobody reads the queue", seconds=60)
    client.waiting = 130
    await until(lambda: both(7), what="7 workers again", seconds=60)

    holder = kubectl("-n", NAMESPACE, "get", "lease", "workerpool-operator", "-o", "jsonpath={.spec.holderIdentity}")
    leader, standby = replicas if holder.startswith("one_") else reversed(replicas)
    await asyncio.to_thread(leader.stop)

    async def knows() -> bool:
        return await client.size(standby.metrics) == 7

    await until(knows, what="7 workers from the one that leads now", seconds=60)
    assert refused(plane) == set()


def refused(plane: ControlPlane) -> set[str]:
    """What the API server refused to the operator, by its own audit log."""
    lines = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    operator = f"system:serviceaccount:{NAMESPACE}:workerpool-operator"
    mine = [line for line in lines if line["user"]["username"] == operator and line["stage"] == "ResponseComplete"]
    asked = {line["objectRef"]["resource"] for line in mine if "objectRef" in line}
    assert {"subjectaccessreviews", "tokenreviews", "configmaps"} <= asked
    return {f"{line['verb']} {line['requestURI']}" for line in mine if line["responseStatus"]["code"] in {401, 403}}
