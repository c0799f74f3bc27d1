"""What a sampler reads where the depth is asked for."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from workerpool.broker import Capabilities, Credentials, Depth
from workerpool_operator.collector.questions.fetch import Address, Fetcher, is_forbidden
from workerpool_operator.collector.questions.numbers import count, of_prometheus, parsed, path_steps, walk

POLL_SECONDS: Final = 5.0
"""Between two questions: a Prometheus knows nothing newer than its last scrape."""
DEPTH_ONLY: Final = Capabilities(
    lease=False,
    extend=False,
    delay=False,
    deduplicate=False,
    oldest_age=False,
    in_flight=False,
    arrivals=False,
    notifies=False,
    priority=False,
    fair=False,
    ordering=False,
    tokens=False,
    tenant_limits=False,
    expiry=False,
    competing=False,
    shared=True,
)


class _Question(ABC):
    """The number is all that there is to know: it has to count the jobs in flight too, if these are to keep workers."""

    poll_seconds = POLL_SECONDS
    capabilities = DEPTH_ONLY

    async def depth(self) -> Depth:
        """Ask."""
        waiting = await self._ask()
        return Depth(waiting, 0, 0, oldest_age_seconds=None, arrivals_total=None, dead_letters=None)

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Nobody says anything unasked."""
        await asyncio.sleep(seconds)
        return False

    async def close(self) -> None:  # noqa: B027  there is nothing to close, whoever is asked
        """No connection outlives its question."""

    @abstractmethod
    async def _ask(self) -> int:
        """The number now."""


class PrometheusQuestion(_Question):
    """An instant query."""

    def __init__(
        self,
        url: str,
        query: str,
        credentials: Credentials,
        *,
        timeout: float,
        forbidden: Callable[[Address], bool] = is_forbidden,
    ) -> None:
        self._fetcher = Fetcher(f"{url.rstrip('/')}/api/v1/query", credentials, timeout=timeout, forbidden=forbidden)
        self._query = {"query": query, "timeout": f"{timeout:g}s"}

    async def _ask(self) -> int:
        return of_prometheus(parsed(await self._fetcher.get(self._query)))


class HttpQuestion(_Question):
    """A number in a JSON document."""

    def __init__(
        self,
        url: str,
        json_path: str,
        credentials: Credentials,
        *,
        timeout: float,
        forbidden: Callable[[Address], bool] = is_forbidden,
    ) -> None:
        """Raises ConfigurationError for a path that is none."""
        self._fetcher = Fetcher(url, credentials, timeout=timeout, forbidden=forbidden)
        self._steps = path_steps(json_path)

    async def _ask(self) -> int:
        return count(walk(parsed(await self._fetcher.get()), self._steps))
