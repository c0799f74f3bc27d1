"""What a site lets robots fetch (RFC 9309), asked once an hour per site."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.robotparser import RobotFileParser

CACHE_SECONDS: Final = 3600.0
CACHED_SITES: Final = 1000
_OK, _CLIENT_ERROR, _SERVER_ERROR = 200, 400, 500


class RobotsUnreachableError(Exception):
    """The site cannot say what it allows: RFC 9309 says to take that for a no, for now."""


class Robots:
    """Answers whether a URL may be fetched. `get` fetches a robots.txt: its status and text."""

    def __init__(self, agent: str, get: Callable[[str], Awaitable[tuple[int, str]]]) -> None:
        self._agent = agent
        self._get = get
        self._sites: OrderedDict[str, tuple[float, RobotFileParser]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[RobotFileParser]] = {}

    async def allow(self, url: str) -> bool:
        """Whether the site of this URL lets us fetch it.

        Raises:
            RobotsUnreachableError: its robots.txt cannot be had now; try later.
        """
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        until, rules = self._sites.get(site, (0.0, None))
        if rules is None or time.monotonic() >= until:
            # Of the jobs that wait for the same answer, one may be cancelled.
            rules = await asyncio.shield(self._asked(site))
            self._sites[site] = (time.monotonic() + CACHE_SECONDS, rules)
            self._sites.move_to_end(site)
            if len(self._sites) > CACHED_SITES:
                self._sites.popitem(last=False)
        return rules.can_fetch(self._agent, url)

    def _asked(self, site: str) -> "asyncio.Task[RobotFileParser]":
        """The question to the site: one at a time, however many jobs for it begin together."""
        if site not in self._asking:
            self._asking[site] = asyncio.create_task(self._ask(site))
            self._asking[site].add_done_callback(lambda task: self._answered(site, task))
        return self._asking[site]

    def _answered(self, site: str, task: "asyncio.Task[RobotFileParser]") -> None:
        del self._asking[site]
        if not task.cancelled():
            task.exception()  # asyncio would complain of one that nobody waits for any more

    async def _ask(self, site: str) -> "RobotFileParser":
        from urllib.robotparser import RobotFileParser  # noqa: PLC0415  brings an HTTP client, as long as none is used

        status, text = await self._get(f"{site}/robots.txt")
        rules = RobotFileParser()
        rules.modified()  # without a time of reading it allows nothing
        if status >= _SERVER_ERROR:
            raise RobotsUnreachableError(f"{site}/robots.txt answers {status}")
        # "Unavailable" (4xx): the crawler may access anything.
        rules.parse(text.splitlines() if _OK <= status < _CLIENT_ERROR else [])
        return rules
