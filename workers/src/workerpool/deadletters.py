"""Look at the dead letters of this environment's queues, and move them: `python -m workerpool.deadletters list`.

For where the queues' addresses and credentials are, as in a pod of the pool. Prints one JSON object a line: a dead
letter, or `{"queue": ..., "count": ...}` for what was, or with `--dry-run` would be, redriven or purged; and while that
goes on, every second, `{"queue": ..., "so_far": ...}`, for who asks about one that was ended in its midst. At the end
`{"lines": ...}`: how many there were, as what keeps them may have lost the first. Exits with 1 after `{"error": ...}`
when a queue cannot be asked, with 2 when the environment or the arguments are wrong.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from workerpool._queue import Queue
from workerpool._source import sources_from
from workerpool.broker import DeadJob, DeadJobs
from workerpool.errors import ConfigurationError, WorkerpoolError

_PAGE: Final = 200
_SAY_SECONDS: Final = 1.0
Json = dict[str, Any]


def main(arguments: list[str] | None = None, *, env: Mapping[str, str] | None = None) -> int:
    """Do what was asked; the exit status."""
    asked, answer = _parser().parse_args(arguments), _Answer()
    try:
        asyncio.run(_answer(asked, os.environ if env is None else env, answer))
    except ConfigurationError as error:
        answer.say({"error": str(error)})
        return 2
    except WorkerpoolError as error:
        answer.say({"error": f"{type(error).__name__}: {error}"})
        return 1
    answer.say({"lines": answer.lines})
    return 0


class _Answer:
    """What is printed."""

    def __init__(self) -> None:
        self.lines = 0

    def say(self, line: Json) -> None:
        """One object."""
        self.lines += 1
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workerpool.deadletters", description=__doc__)
    parser.add_argument("do", choices=["list", "show", "redrive", "purge"])
    parser.add_argument("--queue", default="", help="by default all of them")
    parser.add_argument("--job-id", default="")
    parser.add_argument("--reason", default="")
    parser.add_argument("--version", default="", help="of the workers that gave them up")
    parser.add_argument("--limit", type=int, default=100, help="of list and show, for each queue")
    parser.add_argument("--dry-run", action="store_true", help="only count what would be moved")
    return parser


async def _answer(asked: argparse.Namespace, env: Mapping[str, str], answer: _Answer) -> None:
    names = list(sources_from(env))
    if not names or (asked.queue and asked.queue not in names):
        known = ", ".join(names) or "none"
        raise ConfigurationError(f"there is no queue {asked.queue or 'at all'} here; known: {known}")
    for name in [asked.queue] if asked.queue else names:
        async with Queue.from_env(name, env=env) as queue:
            await _of_one(queue, name, asked, answer)


async def _of_one(queue: Queue, name: str, asked: argparse.Namespace, answer: _Answer) -> None:
    if asked.do in {"list", "show"}:
        left = asked.limit
        async for job in _wanted(queue, asked):
            if left <= 0:
                answer.say({"queue": name, "more": True})
                return
            left -= 1
            answer.say({"queue": name, **(_whole(job) if asked.do == "show" else _brief(job))})
        return
    if asked.dry_run:
        count = 0
        async for _ in _wanted(queue, asked):
            count += 1
    else:
        move = queue.redrive if asked.do == "redrive" else queue.purge
        moved = _Progress(name, answer).moved
        count = await move(reason=asked.reason, job_id=asked.job_id, version=asked.version, moved=moved)
    answer.say({"queue": name, "count": count})


class _Progress:
    """Says now and then how far a move is."""

    def __init__(self, queue: str, answer: _Answer) -> None:
        self._queue = queue
        self._answer = answer
        self._count = 0
        self._said = float("-inf")

    def moved(self, jobs: int) -> None:
        """So many more."""
        self._count += jobs
        if time.monotonic() - self._said >= _SAY_SECONDS:
            self._said = time.monotonic()
            self._answer.say({"queue": self._queue, "so_far": self._count})


async def _wanted(queue: Queue, asked: argparse.Namespace) -> AsyncIterator[DeadJob]:
    """Those that a redrive or a purge would choose, oldest first."""
    after, which = "", DeadJobs(asked.reason, asked.job_id, asked.version)
    while page := await queue.dead_letters(limit=_PAGE, after=after):
        for job in page:
            if which.match(job):
                yield job
        if len(page) < _PAGE or page[-1].token == after:
            return
        after = page[-1].token


def _brief(job: DeadJob) -> Json:
    """Without what may be private or long."""
    return {
        "job_id": job.job_id,
        "type": job.type,
        "reason": job.reason,
        "attempts": job.attempts,
        "error": job.error,
        "died_at": job.died_at,
        "version": job.version,
        "worker": job.worker,
        "tenant": job.tenant,
    }


def _whole(job: DeadJob) -> Json:
    traceparent = job.trace.traceparent if job.trace is not None else ""
    return {
        **_brief(job),
        "priority": str(job.priority),
        "ordering_key": job.ordering_key,
        "trace": traceparent,
        "traceback": job.traceback,
        "payload": job.payload.decode(errors="replace"),
    }


if __name__ == "__main__":
    sys.exit(main())
