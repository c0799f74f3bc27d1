"""What users see."""

import subprocess
import sys

import pytest

import workerpool
from workerpool import ConfigurationError, Job, Worker, errors


def test_every_public_name_is_there() -> None:
    for name in workerpool.__all__:
        assert getattr(workerpool, name).__name__ == name
    assert dir(workerpool) == sorted(workerpool.__all__)
    with pytest.raises(AttributeError):
        _ = workerpool.NoSuchThing


def test_all_errors_are_drawn_in_the_tree_and_public() -> None:
    tree = errors.__doc__ or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert name in tree
            assert name in workerpool.__all__
            assert issubclass(kind, errors.WorkerpoolError)


def test_reading_a_depth_does_not_load_the_runtime() -> None:
    """The collector is small: it pays for what it uses."""
    code = (
        "import sys, workerpool.broker, workerpool.protocol;"
        "print([name for name in ('psutil', 'aiohttp', 'structlog', 'prometheus_client') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_handler_has_a_name_and_a_lane() -> None:
    worker = Worker("memory://", env={})

    @worker.job("a")
    async def a(job: Job) -> None: ...

    with pytest.raises(ConfigurationError, match="already"):
        worker.job("a")
    with pytest.raises(ConfigurationError, match="no lane 'gpu', choose one of: io, thread, cpu"):
        worker.job("b", kind="gpu")(a)
    with pytest.raises(ConfigurationError, match="timeout"):
        worker.job("c", timeout=0)


def test_a_wrong_url_is_refused_when_it_is_named() -> None:
    for url in ("amqp://x", "jobs.db", "sqlite://", "sqlite://host/path"):
        with pytest.raises(ConfigurationError):
            Worker(url, env={})


async def test_a_worker_without_handlers_does_not_start() -> None:
    """It would dead-letter every job as one of an unknown type."""
    with pytest.raises(ConfigurationError, match="no handlers"):
        await Worker("memory://", env={}).serve()
