"""The bench beside other libraries works with ours; `make bench-workers` measures all of them."""

import dataclasses
from pathlib import Path

import pytest

from bench.peers.libraries import LIBRARIES
from bench.peers.phases import Bench
from tests.support.redis import RedisServer

pytestmark = [pytest.mark.component, pytest.mark.redis]


def test_our_worker_is_measured_and_its_redelivery_proven(tmp_path: Path) -> None:
    [ours] = [library for library in LIBRARIES if library.name == "workerpool"]
    with RedisServer(tmp_path / "redis") as server:  # it is flushed
        # So many that they are not all done when this machine has stood still for seconds.
        bench = Bench(dataclasses.replace(ours, jobs=30_000), server.url, tmp_path)
        redelivered = bench.redelivery_seconds()
        throughput = bench.throughput("io10ms")
    assert redelivered is not None
    assert throughput.jobs_per_core_second > 0
    assert throughput.rss_bytes > 10_000_000
