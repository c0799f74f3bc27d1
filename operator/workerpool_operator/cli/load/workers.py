"""Asks workers for their metrics, where no records tell of single jobs: by address, or a pool's pods."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

from workerpool_operator.cli.load.histograms import Reading, Since, read

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

EVERY_SECONDS: Final = 2.0
"""Between two readings: so exact are moments by them, and so much a worker that is killed may not have told."""
MOST: Final = 100
"""Pods that are asked: of a larger pool these are a sample, and no counts."""
_AT_ONCE: Final = 8
_SECONDS: Final = 3.0
_PORT: Final = 8000


class MetricsError(Exception):
    """Nobody tells how jobs went: why."""


class Scraper(Protocol):
    """Where workers' metrics are."""

    async def read(self) -> tuple[frozenset[str], Mapping[str, Reading]]:
        """Which workers there are, and what those say that answer.

        Raises:
            MetricsError: there are some, and none answers.
        """
        ...


class Addresses:
    """Workers that can be reached: each by the address of its metrics."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._urls = frozenset(urls)

    async def read(self) -> tuple[frozenset[str], Mapping[str, Reading]]:
        """See `Scraper`."""
        async with aiohttp.ClientSession() as session:
            return self._urls, await _ask(session, {url: url for url in self._urls})


class Pods:
    """The pods of a pool, through the API server: with the user's right to `get` pods/proxy."""

    def __init__(self, access: "ClusterAccess", *, namespace: str, names: Callable[[], Iterable[str]]) -> None:
        """`names`: of the pods that there are now."""
        self._access, self._namespace, self._names = access, namespace, names

    async def read(self) -> tuple[frozenset[str], Mapping[str, Reading]]:
        """See `Scraper`."""
        from workerpool_operator.kube import kinds  # noqa: PLC0415  it takes long to import

        def path(name: str) -> str:
            return kinds.POD.path(namespace=self._namespace, name=f"{name}:{_PORT}", subresource="proxy")

        names = sorted(self._names())[:MOST]
        urls = {name: f"{self._access.server}{path(name)}/metrics" for name in names}
        async with self._access.watch_session() as session:
            return frozenset(names), await _ask(session, urls)


class WorkerFigures:
    """What workers say of the jobs since `begin`."""

    def __init__(self, scraper: Scraper) -> None:
        self.trouble = ""
        """Why the last reading is none; empty while there is one."""
        self.last_done_at: float | None = None
        """Monotonic time of the first reading that has as many jobs done as the last one."""
        self._scraper = scraper
        self._since = Since()

    async def begin(self) -> None:
        """What was done until now does not count.

        Raises:
            MetricsError: no worker can be asked.
        """
        self._since.begin(*await self._scraper.read())

    async def follow(self, over: asyncio.Event) -> None:
        """Read them again and again, and once more when it is over."""
        last = False
        while not last:
            last = over.is_set()
            await self._look()
            try:
                async with asyncio.timeout(EVERY_SECONDS):
                    await over.wait()
            except TimeoutError:
                continue

    def now(self) -> Reading:
        """Of all of them together."""
        return self._since.now()

    async def _look(self) -> None:
        before = self._since.now().done
        try:
            _, readings = await self._scraper.read()
        except MetricsError as error:
            self.trouble = str(error)
            return
        self.trouble = ""
        self._since.put(readings)
        if self._since.now().done > before:
            self.last_done_at = time.monotonic()


async def _ask(session: aiohttp.ClientSession, urls: Mapping[str, str]) -> dict[str, Reading]:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(url: str) -> Reading | str:
        try:
            async with turn, asyncio.timeout(_SECONDS), session.get(url) as answer:
                if answer.status == 403:  # noqa: PLR2004
                    return "you may not `get` pods/proxy there"
                answer.raise_for_status()
                return read(await answer.text())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{url}: {error or type(error).__name__}"

    answers = dict(zip(urls, await asyncio.gather(*map(one, urls.values())), strict=True))
    found = {name: answer for name, answer in answers.items() if isinstance(answer, Reading)}
    refusals = [answer for answer in answers.values() if isinstance(answer, str)]
    if refusals and not found:
        raise MetricsError(f"workers do not tell of their jobs: {refusals[0]}")
    return found
