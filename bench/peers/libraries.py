"""Which libraries are measured, and how each one's worker is started. How they are set up: `apps/`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from e2e.support.environments import python_of

HERE: Final = Path(__file__).resolve().parent
APPS: Final = HERE / "apps"


@dataclass(frozen=True, kw_only=True)
class Library:
    """A queue library."""

    name: str
    """What the rows say; the app is `apps/NAME_app.py`, in lower case, and the lock `locks/NAME.lock`."""
    module: str
    """What `python -m` runs as its worker."""
    arguments: tuple[str, ...] = ()
    packages: tuple[str, ...]
    """Whose versions are told."""
    jobs: int = 6_000
    """Of a throughput run: some seconds of work."""

    @property
    def app(self) -> Path:
        """The program with its handlers and its producer."""
        return APPS / f"{self.name.lower()}_app.py"

    @property
    def lock(self) -> Path:
        """What is installed for it; this project's own needs nothing beside the environment that this runs in."""
        return HERE / "locks" / f"{self.name.lower()}.lock"

    def python(self) -> Path:
        """The interpreter of its own environment, which is made when it is not there."""
        if not self.lock.exists():
            return Path(sys.executable)
        return python_of(self.lock, below="peers")

    def worker(self) -> list[str]:
        """The command of one worker process, or one with a parent that does no work."""
        return [str(self.python()), "-m", self.module, *self.arguments]

    def versions(self) -> str:
        """Of its packages, as installed."""
        code = "import sys, importlib.metadata as m; print(', '.join(f'{p} {m.version(p)}' for p in sys.argv[1:]))"
        command = [str(self.python()), "-c", code, *self.packages]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


LIBRARIES: Final = (
    Library(
        name="workerpool",
        module="workerpool_app",
        arguments=("serve",),
        packages=("workerpool", "hiredis"),
        jobs=60_000,
    ),
    Library(
        name="SAQ",
        module="saq",
        arguments=("saq_app.settings",),
        packages=("saq", "redis", "hiredis"),
    ),
    Library(
        name="taskiq",
        module="taskiq",
        arguments=(
            *("worker", "taskiq_app:broker", "--workers", "1", "--max-async-tasks", "50"),
            *("--ack-type", "when_executed", "--no-parse", "--log-level", "WARNING"),
        ),
        packages=("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop"),
    ),
    Library(
        name="arq",
        module="arq",
        arguments=("arq_app.WorkerSettings", "--custom-log-dict", "arq_app.LOGS"),
        packages=("arq", "redis", "hiredis"),
    ),
    Library(
        name="Celery",
        module="celery",
        arguments=(
            *("--quiet", "--app", "celery_app", "worker", "--pool", "threads", "--concurrency", "50"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
        ),
        packages=("celery", "kombu", "redis", "hiredis"),
    ),
    Library(
        name="Dramatiq",
        module="dramatiq",
        arguments=("dramatiq_app", "--processes", "1", "--threads", "50"),
        packages=("dramatiq", "redis", "hiredis"),
    ),
    Library(
        name="FastStream",
        module="faststream",
        arguments=("run", "faststream_app:app", "--log-level", "warning"),
        packages=("faststream", "redis", "hiredis", "uvloop"),
    ),
)
