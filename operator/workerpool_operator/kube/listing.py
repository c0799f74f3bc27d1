"""All objects of a kind, a page at a time.

Paging keeps memory flat (20,000 pods: 1 GB in one piece, 207 MB in pages of 500) and gives two ways to fail
that a plain LIST does not have, both handled here: a page may be throttled or lost in the middle (it is asked
for again), and the token for the next page may expire (410). In the latter case the server offers a token that
goes on from the same key but in the newest state.

Who only compares what is listed with what it has asks for `Entry`s: most of a listing is the same as the last time, and
making objects of its JSON is nearly all that it costs.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from workerpool_operator.kube import errors
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

_PAGE_ATTEMPTS: Final = 5
_FIRST_DELAY_SECONDS: Final = 0.25
_LONGEST_DELAY_SECONDS: Final = 10.0


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One answer of the server to a LIST."""

    items: list[Item]
    resource_version: str
    continue_token: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a listing, of which only this has been read."""

    namespace: str
    """Empty: it has none."""
    name: str
    uid: str
    resource_version: str
    raw: msgspec.Raw
    kind: Kind

    def read(self) -> Json:
        """The object."""
        body: Json = msgspec.json.decode(self.raw)
        return _named(self.kind, body)


def objects_of(kind: Kind, data: bytes) -> Page[Json]:
    """Take a `...List` apart.

    Raises:
        ValueError: it is none.
    """
    found = _OBJECTS.decode(data)
    return Page([_named(kind, body) for body in found.items or ()], *_place(found))


def entries_of(kind: Kind, data: bytes) -> Page[Entry]:
    """Take a `...List` apart, and of its objects read no more than who they are.

    Raises:
        ValueError: it is none.
    """
    found = _RAWS.decode(data)
    return Page([_entry(kind, raw) for raw in found.items or ()], *_place(found))


class Listing(Generic[Item]):
    """Async iterator over the objects; each one carries its `apiVersion` and `kind`.

    ``resource_version`` is that of the **first** page, known from the first object on. It is what makes
    "not in the listing, so deleted" safe to conclude: only for objects whose own resource version is not newer.
    That holds even when a token expired in the middle and the rest was read in a newer state.
    """

    def __init__(
        self,
        fetch: Callable[[str], Awaitable[Page[Item]]],
        *,
        on_retry: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.resource_version = ""
        self._fetch = fetch
        self._on_retry = on_retry
        self._sleep = sleep

    async def __aiter__(self) -> AsyncIterator[Item]:
        token = ""
        while True:
            page = await self._page(token)
            self.resource_version = self.resource_version or page.resource_version
            for item in page.items:
                yield item
            token = page.continue_token
            if not token:
                return

    async def all(self) -> list[Item]:
        """Every object at once: for listings that are known to be small, such as one pool's pods."""
        return [obj async for obj in self]

    async def _page(self, token: str) -> Page[Item]:
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


class _ListMetadata(msgspec.Struct):
    version: str = msgspec.field(default="", name="resourceVersion")
    token: str = msgspec.field(default="", name="continue")


class _Objects(msgspec.Struct):
    items: list[Json] | None = None
    metadata: _ListMetadata | None = None


class _Raws(msgspec.Struct):
    items: list[msgspec.Raw] | None = None
    metadata: _ListMetadata | None = None


class _Metadata(msgspec.Struct):
    name: str
    uid: str
    version: str = msgspec.field(name="resourceVersion")
    namespace: str = ""


class _Head(msgspec.Struct):
    metadata: _Metadata


_OBJECTS: Final = msgspec.json.Decoder(_Objects)
_RAWS: Final = msgspec.json.Decoder(_Raws)
_HEAD: Final = msgspec.json.Decoder(_Head)


def _place(found: _Objects | _Raws) -> tuple[str, str]:
    metadata = found.metadata or _ListMetadata()
    return metadata.version, metadata.token


def _entry(kind: Kind, raw: msgspec.Raw) -> Entry:
    head = _HEAD.decode(raw).metadata
    return Entry(head.namespace, head.name, head.uid, head.version, raw, kind)


def _named(kind: Kind, body: Json) -> Json:
    """The server leaves both out of the items of a typed list."""
    body.setdefault("apiVersion", kind.api_version)
    body.setdefault("kind", kind.kind)
    return body
