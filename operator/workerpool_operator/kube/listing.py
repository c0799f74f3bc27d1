"""All objects of a kind, a page at a time.

Paging keeps memory flat (20,000 pods: 1 GB in one piece, 207 MB in pages of 500) and gives two ways to fail
that a plain LIST does not have, both handled here: a page may be throttled or lost in the middle (it is asked
for again), and the token for the next page may expire (410). In the latter case the server offers a token that
goes on from the same key but in the newest state.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from workerpool_operator.kube import errors
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

_PAGE_ATTEMPTS: Final = 5
_FIRST_DELAY_SECONDS: Final = 0.25
_LONGEST_DELAY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the server to a LIST."""

    items: list[Json]
    resource_version: str
    continue_token: str

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Take a `...List` object apart."""
        metadata = answer.get("metadata") or {}
        return cls(answer.get("items") or [], metadata.get("resourceVersion", ""), metadata.get("continue", ""))


class Listing:
    """Async iterator over the objects; each one carries its `apiVersion` and `kind`.

    ``resource_version`` is that of the **first** page, known from the first object on. It is what makes
    "not in the listing, so deleted" safe to conclude: only for objects whose own resource version is not newer.
    That holds even when a token expired in the middle and the rest was read in a newer state.
    """

    def __init__(
        self,
        kind: Kind,
        fetch: Callable[[str], Awaitable[Page]],
        *,
        on_retry: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.resource_version = ""
        self._kind = kind
        self._fetch = fetch
        self._on_retry = on_retry
        self._sleep = sleep

    async def __aiter__(self) -> AsyncIterator[Json]:
        token = ""
        while True:
            page = await self._page(token)
            self.resource_version = self.resource_version or page.resource_version
            for item in page.items:
                # The server leaves both out of the items of a typed list.
                item.setdefault("apiVersion", self._kind.api_version)
                item.setdefault("kind", self._kind.kind)
                yield item
            token = page.continue_token
            if not token:
                return

    async def all(self) -> list[Json]:
        """Every object at once: for listings that are known to be small, such as one pool's pods."""
        return [obj async for obj in self]

    async def _page(self, token: str) -> Page:
        delay = _FIRST_DELAY_SECONDS
        for left in reversed(range(_PAGE_ATTEMPTS)):
            try:
                return await self._fetch(token)
            except errors.Expired as error:
                if not error.continue_token or error.continue_token == token or not left:
                    raise
                token = error.continue_token
            except errors.KubeError as error:
                if not error.retryable or not left:
                    raise
                self._on_retry()
                await self._sleep(max(delay * random.uniform(0.5, 1.5), error.retry_after or 0.0))  # noqa: S311
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
        raise AssertionError("unreachable: the last attempt returns or raises")
