"""The jobs of one app, and what each of them says in Redis itself."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import redis

from e2e.adapters.libraries import APPS, App
from e2e.adapters.worker import environment


class Jobs:
    """What was enqueued in one database, and what became of it."""

    def __init__(self, app: App, url: str) -> None:
        self._app = app
        self._url = url
        self._redis = redis.Redis.from_url(url, socket_timeout=10)
        self.ids: list[str] = []
        """Of all that were enqueued."""

    def __len__(self) -> int:
        return len(self.ids)

    def put(self, kind: str, seconds: float, count: int) -> list[str]:
        """Enqueue so many, by the app's own producer; their ids."""
        new = [f"job-{len(self.ids) + number}" for number in range(count)]
        self.ids += new
        produce(self._app, self._url, kind, seconds, new)
        return new

    def forget(self, key: str) -> None:
        """Delete a key of the library's."""
        self._redis.delete(key)

    def release(self, *jobs: str) -> None:
        """Let these end now, however long they were to take."""
        self._redis.mset({f"test:released:{job}": 1 for job in jobs})

    def said(self) -> list[tuple[str, str, str]]:
        """What (`began`, `failed`, `done`), job and pod, in the order in which it was said."""
        lines: Any = self._redis.lrange("test:said", 0, -1)
        return [tuple(json.loads(line)) for line in lines]

    def missing(self) -> int:
        """Jobs that are not done."""
        return len(set(self.ids) - {job for what, job, _ in self.said() if what == "done"})

    def begun_by(self, pod: str) -> int:
        """Attempts that this worker has begun."""
        return sum(what == "began" and by == pod for what, _, by in self.said())

    def running_on(self) -> Counter[str]:
        """Worker -> attempts that it has begun, and that have neither failed nor ended."""
        open_attempts: Counter[str] = Counter()
        for what, _, pod in self.said():
            open_attempts[pod] += 1 if what == "began" else -1
        return +open_attempts

    def repeated(self, jobs: Collection[str] | None = None) -> int:
        """How often these, or all, were begun again although they had not failed."""
        said = self.said()
        begun = Counter(job for what, job, _ in said if what == "began")
        failed = Counter(job for what, job, _ in said if what == "failed")
        return sum(max(0, begun[job] - 1 - failed[job]) for job in (self.ids if jobs is None else jobs))


def produce(app: App, url: str, kind: str, seconds: float, jobs: Sequence[str]) -> None:
    """Enqueue jobs of these ids on the Redis at `url`, by the app's own producer."""
    env = environment(url) | {"ABANDONED_SECONDS": str(app.abandoned_seconds)}
    command = [str(app.python()), str(app.program), kind, str(seconds), *jobs]
    subprocess.run(command, cwd=APPS, env=env, check=True)
