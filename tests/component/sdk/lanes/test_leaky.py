"""A process of the cpu lane that has no file left."""

import resource
from collections.abc import Iterator

import pytest

from tests.component.sdk.lanes.leaky_program import use_up_files
from workerpool import Job
from workerpool.runtime.lanes import Handler, Kind
from workerpool.runtime.lanes.cpu import CpuLane
from workerpool.runtime.recycle import Recycle
from workerpool.telemetry.logs import Log

pytestmark = pytest.mark.component


@pytest.fixture
def few_files() -> Iterator[None]:
    """For the processes that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_it_tells_how_its_job_ended_and_is_replaced(few_files: None) -> None:
    """What the telling takes was loaded with the handler."""
    lane = CpuLane(1, recycle=Recycle(), log_fields={"pool": "", "version": "", "worker": ""}, log=Log())
    run = lane.bind(Handler(use_up_files, 30.0, Kind.CPU))
    for number in range(2):
        await run(Job(str(number), "work", None, 1, "main", None))
        assert lane.threads().idle == 0
    await lane.close()
