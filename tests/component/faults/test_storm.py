"""The storm in short: `make storm` kills 200 busy workers for each broker."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.faults.storm.brokers import BROKERS, Broker
from e2e.faults.storm.driver import Plan, Row, Storm
from e2e.support.postgres_server import PostgresServer
from e2e.support.redis_server import RedisServer

pytestmark = [pytest.mark.component, pytest.mark.redis]

PLAN = Plan(jobs=300, kills=10, workers=4, job_seconds=(0.2, 0.8))
"""There is work for some seconds yet when the last kill is due: who kills may stand still for a while."""


async def blow(name: str, broker: Broker, plan: Plan, folder: Path) -> Row:
    storm = Storm(name=name, broker=broker, plan=plan, folder=folder)
    try:
        await storm.run()
        return storm.row()
    finally:
        storm.close()


@pytest.mark.timeout(300)  # of RabbitMQ the two starts alone may take a minute where much else runs
@pytest.mark.parametrize("name", BROKERS)
async def test_killed_workers_and_a_killed_broker_lose_no_job_and_double_no_effect(name: str, tmp_path: Path) -> None:
    if name == "postgres" and not PostgresServer.is_there():
        pytest.skip("there is no PostgreSQL server on this machine")
    with BROKERS[name](tmp_path) as broker:
        row = await blow(name, broker, PLAN, tmp_path)
        restarts = broker.restarts
    assert row.broken(PLAN) == []
    assert (row.enqueued, row.done, row.lost, row.effects_wrong) == (300, 300, 0, 0)
    assert row.kills >= row.kills_hitting_busy == 10
    assert row.broker_restarts == restarts


class Forgetful:
    """A Redis that forgets everything when it is restarted."""

    restarts = 1

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.env = {"QUEUE_MAIN_URL": server.url, "QUEUE_MAIN_STREAM": "storm"}

    def restart(self) -> None:
        self.server.kill()
        self.server.start()


async def test_jobs_that_a_broker_forgets_are_counted_as_lost(tmp_path: Path) -> None:
    # At half time there is work for six seconds yet, so that there is something to forget.
    plan = Plan(jobs=100, kills=0, workers=2, job_seconds=(0.5, 1.5))
    with RedisServer(tmp_path / "redis", options={"appendonly": "no"}) as server:
        row = await blow("redis", Forgetful(server), plan, tmp_path)
    assert row.broker_restarts == 1
    assert row.lost == 100 - row.done > 0
    assert row.broken(plan) == [f"{row.lost} jobs were lost"]


@contextlib.contextmanager
def command(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    program = [sys.executable, "-m", "e2e.faults.storm", *arguments]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_row_of_a_broker_is_in_the_file_before_the_next_has_its_turn(tmp_path: Path) -> None:
    """And stays there, whatever happens then."""
    found = tmp_path / "storm.json"
    brokers = ("--brokers", "sqlite", "redis")
    with command(*brokers, "--jobs=100", "--kills=2", "--workers=2", f"--json={found}") as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if "redis: broker 2 of 2" in line)
        [row] = json.loads(found.read_text())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert (row["broker"], row["done"], row["lost"]) == ("sqlite", 100, 0)
    assert json.loads(found.read_text())[0] == row


def test_an_interrupted_storm_keeps_what_it_found(tmp_path: Path) -> None:
    found = tmp_path / "storm.json"
    with command("--brokers", "redis", "--jobs", "100000", "--kills", "9999", f"--json={found}") as process:
        assert process.stderr is not None
        assert next(line for line in process.stderr if re.search(r": [1-9]\d* of \d+ jobs done", line))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    [row] = json.loads(found.read_text())
    assert (row["broker"], row["lost"], row["effects_wrong"]) == ("redis", 0, 0)
    assert row["enqueued"] >= row["done"] > 0
