"""A program's worker, and one of its handlers, to be measured outside of the runtime."""

import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from workerpool import ConfigurationError, Job, Worker
from workerpool.runtime.lanes import Given, Handler

SAMPLES: Final = "workerpool_operator.cli.samples:worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A handler, and what its worker's lifespan gives to jobs."""

    type: str
    handler: Handler
    payload: Any
    lifespan: Callable[[], AbstractAsyncContextManager[Any]]

    def job(self, number: int, *, context: Any = None) -> Job:
        """A first attempt that no broker knows of: its checkpoints go nowhere."""
        return Job(f"trial-{number}", self.type, self.payload, 1, "trial", context, _hold=Trial())

    def given(self, number: int, *, context: Any = None) -> Given:
        """What the handler is given: such a job, or a batch of one."""
        job = self.job(number, context=context)
        return job if self.handler.batch is None else [job]


class Trial:
    """What a job on trial has of its worker: nothing is kept, and it is never told to stop."""

    async def checkpoint(self, state: bytes) -> None:
        """See `Hold`."""

    def checkpoint_sync(self, state: bytes) -> None:
        """See `Hold`."""

    def skip(self) -> None:
        """See `Hold`."""

    def fail(self, error: Exception | str) -> None:
        """See `Hold`."""
        raise error if isinstance(error, Exception) else RuntimeError(error)

    def begins(self) -> None:
        """See `Hold`."""

    def told_to_stop(self) -> bool:
        """See `Hold`."""
        return False


def load(program: str, *, job_type: str, payload: Any) -> Program:
    """Import a program from here or from what is installed; a `worker.run()` in it does nothing.

    Raises:
        ConfigurationError: there is no such module, worker or handler, or the module cannot be imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    setattr(Worker, "run", _not_here)  # noqa: B010  it is another class's method
    module, _, name = program.partition(":")
    if not module or not name:
        raise ConfigurationError(f"{program!r} names no worker: write package.module:name")
    try:
        worker = getattr(import_module(module), name, None)
    except Exception as error:  # whatever the user's program raises
        raise ConfigurationError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(worker, Worker):
        raise ConfigurationError(f"{program!r} is no worker: write package.module:name, where name is a Worker")
    handler = worker.handlers.get(job_type)
    if handler is None:
        known = ", ".join(sorted(worker.handlers)) or "none"
        raise ConfigurationError(f"{program} has no handler for {job_type!r}; it has: {known}")
    return Program(type=job_type, handler=handler, payload=payload, lifespan=worker.lifespan)


def parse_payload(text: str) -> Any:
    """A payload from the command line.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"--payload is not JSON: {error}") from error


def _not_here(*_arguments: Any, **_named: Any) -> None:
    """`Worker.run` of a program that is measured."""
