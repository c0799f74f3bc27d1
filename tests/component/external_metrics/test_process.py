"""The process that answers HPAs, as the operator starts it: what becomes of it and of the answers when either dies."""

import asyncio
import json
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.pki import Pair
from e2e.cluster.ports import free_port
from e2e.faults.process import OperatorProcess
from tests.component.external_metrics.serving import HOST, Caller, Replica, certify
from tests.component.external_metrics.test_access import REMOTE, front_authority
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.controller.external_metrics import ExternalMetrics
from workerpool_operator.controller.metrics_feed import Changes, Feed
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import Kube, kinds
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.metrics_api.messages import Settings
from workerpool_operator.serve.values import ValueBoard

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.timeout(300)]

ENOUGH = 120.0
"""Seconds, for a process that starts on a machine that has other things to do."""


@dataclass
class Lead:
    leads_until: float = float("inf")
    holder_address: str = ""


@dataclass
class Operator:
    """What the process needs of an operator: the leader of one pool, `media/web`."""

    home: Path
    client: Pair
    port: int = field(default_factory=free_port)
    changes: Changes = field(default_factory=Changes)
    lead: Lead = field(default_factory=Lead)
    metrics: OperatorMetrics = field(default_factory=OperatorMetrics)

    def __post_init__(self) -> None:
        self.board, self.store = ValueBoard(on_change=self.changes.note), Store()
        body = pool_body(name="web", namespace="media")
        body["metadata"] |= {"uid": "web", "resourceVersion": "1"}
        self.store.put(kinds.WORKER_POOL, body)
        self.board.begin()

    def want(self, value: int, *, seconds: float = 600.0) -> None:
        """So many workers, by a reading that counts for so long."""
        self.board.read("media", "web", "main", age=0.0, stale_after=seconds)
        self.board.publish("media", "web", value, queues=("main",))

    async def answer(self) -> int | str:
        """The value that an HPA gets, or why it gets none."""
        caller = Caller(Replica(self.home, self.port), self.client, REMOTE)
        try:
            answer = await caller.value("media", "web")
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        return int(answer.values["web"]) if answer.status == 200 else answer.status

    async def answers(self, wanted: int | str) -> bool:
        return await self.answer() == wanted

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"workerpool_operator_external_metrics_{name}", labels)


def child() -> psutil.Process:
    """The one process that serves."""
    [found] = [one for one in psutil.Process().children() if "workerpool_operator.metrics_api" in one.cmdline()]
    return found


@asynccontextmanager
async def served(operator: Operator) -> AsyncIterator[ExternalMetrics]:
    """Have the API served until the end of the context."""
    settings = Settings(tls=operator.home, host="127.0.0.1", port=operator.port, server_name=HOST, log_level="info")

    def feed() -> Feed:
        return Feed(store=operator.store, board=operator.board, lead=operator.lead, changes=operator.changes)

    api = ExternalMetrics(settings, feed=feed, metrics=operator.metrics)
    running = asyncio.create_task(api.run())
    try:
        await until(lambda: api.ready, what="that it is served", seconds=ENOUGH)
        yield api
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def operator(plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    certify(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    return Operator(tmp_path, front_authority(plane).issue("front-proxy-client", common_name="front-proxy-client"))


async def test_values_are_answered_as_they_change_and_counted(operator: Operator) -> None:
    async with served(operator):
        await until(lambda: operator.answers(503), what="that there is no value yet")
        operator.want(7)
        await until(lambda: operator.answers(7), what="the value")
        operator.want(8)
        await until(lambda: operator.answers(8), what="the next one")
        operator.board.withdraw("media", "web")
        await until(lambda: operator.answers(503), what="that it is withdrawn")
        operator.store.drop(kinds.WORKER_POOL, "media", "web")
        await until(lambda: operator.answers(404), what="that the pool is gone")
        await until(
            lambda: (operator.counted("requests_total", kind="values", code="404") or 0) >= 1, what="that it is counted"
        )
        assert (operator.counted("requests_total", kind="values", code="200") or 0) >= 2


async def test_a_value_goes_stale_by_its_own_time_while_the_operator_says_nothing(operator: Operator) -> None:
    async with served(operator):

        async def told() -> bool:
            operator.want(7, seconds=3.0)  # again and again, so that it is seen on a machine that stands still for them
            return await operator.answers(7)

        await until(told, what="the value")
        await until(lambda: operator.answers(503), what="that it is stale")


async def test_a_lead_runs_out_by_itself(operator: Operator) -> None:
    async with served(operator):

        async def told() -> bool:
            operator.want(7)
            operator.lead.leads_until = asyncio.get_running_loop().time() + 3.0
            return await operator.answers(7)

        await until(told, what="the value")
        await until(lambda: operator.answers(503), what="that nobody leads")


async def test_one_that_is_killed_is_replaced_by_one_that_knows_as_much(operator: Operator) -> None:
    async with served(operator):
        operator.want(7)
        await until(lambda: operator.answers(7), what="the value")
        first = child()
        first.kill()
        await until(lambda: ended(first), what="that nobody answers")
        await until(lambda: operator.answers(7), what="the value again", seconds=ENOUGH)
        assert child().pid != first.pid
        assert operator.counted("restarts_total") == 1


async def test_what_is_told_to_end_it_does_not_end_it_before_the_operator(operator: Operator) -> None:
    """Some ways to stop a container send SIGTERM to all of its processes; the operator stops this one last."""
    async with served(operator):
        operator.want(7)
        await until(lambda: operator.answers(7), what="the value")
        process = child()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        operator.want(8)
        await until(lambda: operator.answers(8), what="the next value")
    assert not process.is_running()
    assert operator.counted("restarts_total") == 0


async def test_a_renewed_certificate_is_shown(operator: Operator, tmp_path: Path) -> None:
    async with served(operator):
        before = await shown(operator)
        other = tmp_path / "other"
        other.mkdir()
        certify(other)
        for name in ("tls.crt", "tls.key"):
            shutil.copyfile(other / name, operator.home / name)

        async def renewed() -> bool:
            return await shown(operator) != before

        await until(renewed, what="the other certificate", seconds=ENOUGH)
        assert child().is_running()
    assert operator.counted("restarts_total") == 0


async def shown(operator: Operator) -> bytes | None:
    """The certificate that the port shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", operator.port, ssl=context)
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


async def test_without_a_certificate_the_operator_gives_up(operator: Operator) -> None:
    (operator.home / "tls.key").unlink()
    settings = Settings(tls=operator.home, host="127.0.0.1", port=operator.port, server_name=HOST, log_level="info")
    api = ExternalMetrics(
        settings,
        feed=lambda: Feed(store=operator.store, board=operator.board, lead=operator.lead, changes=operator.changes),
        metrics=operator.metrics,
        give_up_seconds=5.0,
    )
    with pytest.raises(RuntimeError, match="no process has served"):
        await api.run()


class TestWithAnOperator:
    """A whole one, in a process of its own."""

    @pytest.fixture
    async def started(
        self, plane: ControlPlane, crds: None, kube: Kube, tmp_path: Path
    ) -> AsyncIterator[tuple[OperatorProcess, int]]:
        """It serves; with its port."""
        port = free_port()
        settings = {"EXTERNAL_METRICS_PORT": str(port), "POD_IP": "127.0.0.1"}
        process = OperatorProcess.prepare(tmp_path / "operator", tls=tmp_path / "tls", settings=settings)
        process.kubeconfig.write_text(plane.kubeconfig.read_text())
        process.start()
        try:
            await until(lambda: served_at(process, port), what="that it is served", seconds=ENOUGH)
            yield process, port
        finally:
            process.kill()

    async def test_it_is_ready_only_when_it_is_served(self, started: tuple[OperatorProcess, int]) -> None:
        operator, _ = started
        await until(lambda: ready(operator), what="that it is ready", seconds=ENOUGH)

    async def test_nobody_serves_when_it_is_killed(self, started: tuple[OperatorProcess, int]) -> None:
        operator, port = started
        [server] = servers(operator)
        operator.kill()
        await until(lambda: ended(server), what="its end")
        assert not await served_at(operator, port)

    async def test_nobody_serves_when_it_has_stopped(self, started: tuple[OperatorProcess, int]) -> None:
        operator, _ = started
        [server] = servers(operator)
        [process] = operators(operator)
        process.terminate()
        await until(lambda: ended(process), what="its end", seconds=ENOUGH)
        assert ended(server)
        said = [json.loads(line)["event"] for line in operator.log.read_text().splitlines()]
        assert said[-1] == "stopped"
        assert "task_ended" not in said


def operators(operator: OperatorProcess) -> list[psutil.Process]:
    return [one for one in _of(operator) if one.cmdline()[1:] == ["-m", "workerpool_operator"]]


def servers(operator: OperatorProcess) -> list[psutil.Process]:
    return [one for one in _of(operator) if "workerpool_operator.metrics_api" in one.cmdline()]


def _of(operator: OperatorProcess) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("KUBECONFIG") == str(operator.kubeconfig):
                found.append(process)
    return found


def ended(process: psutil.Process) -> bool:
    """Whether it is gone, though nobody may have fetched its exit code."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def served_at(operator: OperatorProcess, port: int) -> bool:
    """Whether its metrics API answers."""
    return await _answers(f"https://127.0.0.1:{port}/healthz", ssl=False)


async def ready(operator: OperatorProcess) -> bool:
    return await _answers(f"http://127.0.0.1:{operator.http_port}/readyz")


async def _answers(url: str, **options: Any) -> bool:
    with suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
            return answer.status == 200
    return False
