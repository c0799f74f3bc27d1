"""The shipper and the Loki of examples/logs on this machine: a pod's lines are kept, whatever becomes of its file.

Without a cluster, so it is quick; `test_logs.py` asks the same of pods.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.shipping.files import LOKI, SHIPPER
from e2e.shipping.machine import Machine, line, machine
from e2e.support.wait import wait_for

pytestmark = pytest.mark.timeout(1800)  # Loki and the collector are built in a quarter of an hour, once

SHIPPED = 60.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A node whose lines are shipped."""
    with machine(tmp_path_factory.mktemp("node")) as found:
        yield found


def write(log: Path, pool: str, *numbers: int) -> None:
    """Let a worker write a line about each of these jobs."""
    with log.open("a") as file:
        for number in numbers:
            said = {"event": "told", "pool": pool, "worker": f"{pool}-1", "job_id": str(number), "attempt": 1}
            file.write(line(json.dumps(said)))


def wait_there(node: Machine, pool: str, *numbers: int) -> None:
    """Wait until Loki has a line about each of these jobs; each is there once."""
    query = f'{{k8s_namespace_name="media"}} | json | pool="{pool}"'

    def jobs() -> list[int]:
        return sorted(int(found["job_id"]) for found in node.loki.lines(query))

    try:
        wait_for(lambda: set(numbers) <= set(jobs()), seconds=SHIPPED, what=f"lines of {pool}", pause=0.5)
    except TimeoutError as error:
        raise AssertionError(f"{error}; there are {jobs()}\n{node.said()}") from error
    assert jobs() == sorted(numbers)


def test_a_line_is_found_by_each_of_its_keys(node: Machine) -> None:
    """Of worker, collector and operator; of others none is read."""
    keys = {
        "event": "told", "level": "info", "pool": "keys", "version": "3f2a9c1d", "worker": "keys-1", "job_id": 'a"/😀',
        "job_type": "tell", "attempt": 2, "tenant": "acme", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }  # fmt: skip
    for name, namespace, container in (
        ("keys-1", "media", "worker"),
        ("workerpool-collector-1", "media", "collector"),
        ("workerpool-operator-1", "workerpool-system", "operator"),
        ("web-1", "media", "web"),
    ):
        with node.pod(name, namespace=namespace, container=container).open("a") as file:
            file.write(line(json.dumps({**keys, "event": container})))
    for container in ("worker", "collector", "operator"):
        said = {**keys, "event": container}
        for key, value in said.items():
            quoted = json.dumps(str(value), ensure_ascii=False)
            query = f'{{k8s_container_name="{container}", k8s_node_name="node-1"}} | json | {key}={quoted}'
            wait_for(lambda: said in node.loki.lines(query), seconds=SHIPPED, what=query, pause=0.5)  # noqa: B023
    assert not node.loki.lines('{k8s_container_name="web"}')


def test_what_a_pod_wrote_outlives_its_file_and_a_shipper_that_is_stopped(node: Machine) -> None:
    """What was written while the shipper was away comes too, and nothing comes twice."""
    log = node.pod("stopped-1")
    write(log, "stopped", 1, 2)
    wait_there(node, "stopped", 1, 2)
    node.stop(SHIPPER)
    write(log, "stopped", 3, 4)
    node.start(SHIPPER)
    write(log, "stopped", 5)
    wait_there(node, "stopped", 1, 2, 3, 4, 5)
    node.end(log)
    wait_there(node, "stopped", 1, 2, 3, 4, 5)


def test_a_file_that_is_rotated_is_read_to_its_end(node: Machine) -> None:
    """The kubelet moves it aside, and containerd begins another."""
    log = node.pod("rotated-1")
    write(log, "rotated", 1)
    wait_there(node, "rotated", 1)
    write(log, "rotated", 2)
    log.rename(log.with_name("0.log.20260102-030405"))
    write(log, "rotated", 3)
    wait_there(node, "rotated", 1, 2, 3)


def test_lines_of_pods_that_went_while_loki_was_away_come_when_it_is_back(node: Machine) -> None:
    """Also over a restart of the shipper meanwhile: they wait on the node's disk."""
    log = node.pod("late-1")
    write(log, "late", 1)
    wait_there(node, "late", 1)
    node.stop(LOKI)
    before = node.taken()
    assert before
    write(log, "late", 2, 3)
    wait_for(lambda: node.taken() == before + 2, seconds=SHIPPED, what="the file read to its end")
    node.end(log)
    node.stop(SHIPPER)
    node.start(SHIPPER, LOKI)
    wait_there(node, "late", 1, 2, 3)
