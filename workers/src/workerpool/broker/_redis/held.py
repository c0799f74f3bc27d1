"""The jobs that this process works on, by their tokens: what Redis gives out again of these is no new delivery."""

from collections.abc import Iterable, Sequence

from workerpool.broker._types import Taken


class Held:
    """Of one consumer. A token may come twice, when its lease was lost in between: each time it is another delivery."""

    def __init__(self) -> None:
        self._jobs: dict[str, Taken] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._jobs

    def add(self, jobs: Sequence[Taken]) -> list[Taken]:
        """Those that were not held. One that is was late to extend: it goes on."""
        fresh = [job for job in jobs if job.token not in self._jobs]
        self._jobs.update((job.token, job) for job in fresh)
        return fresh

    def forget(self, tokens: Iterable[str]) -> None:
        """They are settled, or somebody else's."""
        for token in tokens:
            self._jobs.pop(token, None)

    def let_go(self, jobs: Iterable[Taken]) -> None:
        """Nobody works on these deliveries any more, whatever Redis thinks; on a later one somebody may."""
        for job in jobs:
            if self._jobs.get(job.token) is job:
                del self._jobs[job.token]
