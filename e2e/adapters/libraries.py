"""Which libraries are adapted, and how a worker of each is started. A new one is a row here, an app in `apps/`, a lock.

`locks/NAME.lock` is made from `NAME.in` beside it, which names the library and what `workerpool` itself needs: see
CONTRIBUTING.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e.support.environments import python_of

HERE: Final = Path(__file__).resolve().parent
APPS: Final = HERE / "apps"
SLOTS: Final = 4
"""Jobs at a time of each worker, where its library can do more than one."""


@dataclass(frozen=True, kw_only=True)
class App:
    """A small app of one library."""

    library: str
    """What the rows say; the app is `apps/NAME_app.py`, in lower case, and the lock `locks/NAME.lock`."""
    module: str
    """What `python -m` runs as its worker."""
    arguments: tuple[str, ...]
    lane: str
    """The label of its jobs' metrics: `io`, `thread` or `cpu`."""
    slots: int = SLOTS
    """Jobs at a time of each worker."""
    share: float = 1.0
    """Of the jobs that the others do: less where only one is done at a time, or a Python is started for each."""
    keys: tuple[str, ...] = ()
    """Where its jobs wait in Redis, as `redisList` names them; none: they wait in a stream."""
    running: tuple[str, ...] = ()
    """The same of its jobs in flight."""
    stream: str = ""
    """Where they wait, as `redisStream` names it; the consumer group is `group`."""
    group: str = ""
    abandoned_seconds: int
    """How long a worker is silent until its library takes what it held for abandoned: so the app is set."""
    sweep_lock: str = ""
    """Where a key in Redis keeps workers from looking for that again soon: this one. Tests do not wait for its end."""
    variant: str = ""
    """Where one library is proven in two ways: what is different. Its row is of both together."""

    @property
    def name(self) -> str:
        """What the terminal says."""
        return f"{self.library} ({self.variant})" if self.variant else self.library

    @property
    def program(self) -> Path:
        """With its jobs, and its producer."""
        return APPS / f"{self.library.lower()}_app.py"

    def python(self) -> Path:
        """Of its environment. Raises NoEnvironmentError."""
        return python_of(HERE / "locks" / f"{self.library.lower()}.lock", below="adapters")

    def worker(self, python: str) -> list[str]:
        """The command of one worker, by this interpreter."""
        return [python, "-m", self.module, *self.arguments]

    def queue(self, url: str) -> dict[str, Any]:
        """Its queue on the Redis at `url`, as one of a pool's `spec.queues`."""
        if self.stream:
            return {"name": "main", "redisStream": {"url": url, "stream": self.stream, "group": self.group}}
        return {"name": "main", "redisList": {"url": url, "keys": [*self.keys], "running": [*self.running]}}


_TASKIQ: Final = ("worker", "taskiq_app:broker", "--workers", "1", "--max-async-tasks", str(SLOTS))
_RQ: Final = ("worker", "jobs", "--config", "rq_app", "--worker-class")
_CELERY: Final = ("--app", "celery_app", "worker", "--loglevel", "INFO", "--without-mingle", "--pool")

APPS_UNDER_TEST: Final = (
    *(
        App(
            library="Celery",
            module="celery",
            arguments=(*_CELERY, variant),
            lane=lane,
            abandoned_seconds=12,
            keys=("celery",),
            running=("unacked_index",),
            variant=variant,
        )
        for variant, lane in (("prefork", "cpu"), ("threads", "thread"))
    ),
    App(
        library="SAQ",
        module="saq",
        arguments=("saq_app.settings",),
        lane="io",
        abandoned_seconds=10,
        sweep_lock="saq:default:sweep",
        keys=("saq:default:queued",),
        running=("saq:default:active",),
    ),
    App(
        library="taskiq",
        module="taskiq",
        arguments=_TASKIQ,
        lane="io",
        abandoned_seconds=10,
        stream="taskiq",
        group="taskiq",
    ),
    App(
        library="Dramatiq",
        module="dramatiq",
        arguments=("dramatiq_app", "--processes", "1", "--threads", str(SLOTS)),
        lane="thread",
        abandoned_seconds=5,
        keys=("dramatiq:default",),
    ),
    *(
        App(
            library="RQ",
            module="rq.cli",
            arguments=(*_RQ, f"rq_app.{worker}"),
            slots=1,
            lane=lane,
            abandoned_seconds=10,
            share=share,
            keys=("rq:queue:jobs",),
            running=("rq:wip:jobs",),
            variant=variant,
        )
        for worker, lane, variant, share in (
            ("Forking", "cpu", "", 0.5),
            ("Spawning", "cpu", "spawn", 0.2),
            ("Simple", "thread", "simple", 0.5),
        )
    ),
    App(
        library="FastStream",
        module="faststream",
        arguments=("run", "faststream_app:app"),
        lane="io",
        abandoned_seconds=10,
        stream="jobs",
        group="workers",
    ),
)
