"""Handlers of the cpu lane that say when they have begun, and are cancelled. The payload is a file to make then."""

import time
from pathlib import Path

from opentelemetry import trace

from workerpool import Job


def begin(job: Job) -> None:
    Path(job.payload).touch()
    time.sleep(3600)


def with_a_span(job: Job) -> None:
    """Its spans are to be handed over when it ends."""
    with trace.get_tracer(__name__).start_as_current_span("inside"):
        pass
    begin(job)


def with_a_last_word(job: Job) -> None:
    try:
        begin(job)
    finally:
        job.checkpoint_sync("so far")


def that_goes_on(job: Job) -> None:
    try:
        begin(job)
    except BaseException:  # noqa: BLE001  somebody will
        return
