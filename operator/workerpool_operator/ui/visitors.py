"""Who looks at the page in the cluster: for each token what it may see, read with that token, and nothing else.

The program has no credentials of its own. What one token has brought is shown to that token only, is forgotten when
nobody has asked with it for a while, and as soon as the API server no longer accepts it: it is asked again and again.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool_operator.kube import ClusterAccess, Kube, KubeError, errors, kinds
from workerpool_operator.ui.hub import PROGRAM, Hub
from workerpool_operator.ui.site import Site

MOST: Final = 64
"""Tokens at a time: each costs what a watch of all pools costs."""
CHECK_SECONDS: Final = 20.0
LINGER_SECONDS: Final = 60.0
_CHECKS_AT_ONCE: Final = 8
_QUESTION: Final = {"verb": "list", "group": kinds.WORKER_POOL.group, "resource": kinds.WORKER_POOL.plural}
"""Any would do: whoever is somebody may ask what they may."""

Opener = Callable[[str], ClusterAccess]
"""Access to the API server with this token."""


class NotAdmittedError(Exception):
    """Why nothing is shown; the text is for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True, kw_only=True)
class Visitor:
    """Whoever has one token."""

    access: ClusterAccess
    kube: Kube
    site: Site
    stays: "asyncio.Task[None]"
    checked_at: float
    seen_at: float
    requests: "set[asyncio.Task[Any]]" = field(default_factory=set)
    """That are being answered, streams among them."""

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """While one of their requests is answered."""
        task = asyncio.current_task()
        assert task is not None, "requests are answered by tasks"
        self.requests.add(task)
        try:
            yield
        finally:
            self.requests.discard(task)
            self.seen_at = time.monotonic()


class Visitors:
    """All of them. Use `running` as a context; afterwards nothing of them is left."""

    def __init__(self, opener: Opener, *, check_seconds: float = CHECK_SECONDS) -> None:
        """`check_seconds`: the API server is asked whether it knows a token when the last time was so long ago."""
        self._open = opener
        self._check_seconds = check_seconds
        self._known: dict[bytes, Visitor] = {}
        self._slots = asyncio.Semaphore(_CHECKS_AT_ONCE)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See to it that those who may no longer look, or do not, are forgotten."""
        tidy = asyncio.create_task(self._tidy())
        try:
            yield
        finally:
            tidy.cancel()
            gone = [self._dismiss(key) for key in list(self._known)]
            await asyncio.gather(tidy, *gone, return_exceptions=True)

    async def admit(self, token: str, namespace: str | None) -> Visitor:
        """Whoever asks with this token. `namespace`: pools of that one only.

        Raises:
            NotAdmittedError: the API server does not know the token, or cannot be asked, or too many look.
        """
        key = hashlib.sha256(f"{namespace or ''}\0{token}".encode()).digest()
        known = self._known.get(key)
        now = time.monotonic()
        if known is None or now - known.checked_at > self._check_seconds:
            access = known.access if known else self._open(token).acting_as(PROGRAM)
            await self._check(access)
            known = self._known.get(key)  # another request of theirs may have been quicker
        if known is None:
            if len(self._known) >= MOST:
                raise NotAdmittedError(503, "Too many people look at this page at once. Try again in a minute.")
            known = self._known[key] = self._arrived(access, namespace)
        known.checked_at = max(known.checked_at, now)
        known.seen_at = now
        return known

    async def _check(self, access: ClusterAccess) -> None:
        try:
            async with self._slots, Kube(access) as kube:
                await kube.may(_QUESTION)
        except (errors.Unauthorized, errors.Forbidden):
            raise NotAdmittedError(401, "The cluster does not accept this token.") from None
        except KubeError:
            raise NotAdmittedError(503, "The API server does not answer, so nothing is shown. Try again.") from None

    def _arrived(self, access: ClusterAccess, namespace: str | None) -> Visitor:
        kube = Kube(access)
        hub = Hub(access, kube, namespace=namespace)
        now = time.monotonic()
        stays = asyncio.create_task(_stay(hub, kube))
        return Visitor(access=access, kube=kube, site=Site(hub, root="/"), stays=stays, checked_at=now, seen_at=now)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(self._check_seconds / 4)
            now = time.monotonic()
            for key, one in list(self._known.items()):
                if not one.requests and now - one.seen_at > LINGER_SECONDS:
                    await self._dismiss(key)
                elif now - one.checked_at > self._check_seconds:
                    await self._check_again(key, one)

    async def _check_again(self, key: bytes, one: Visitor) -> None:
        """One that cannot be asked about stays: their page says that the API server does not answer."""
        try:
            await self._check(one.access)
            one.checked_at = time.monotonic()
        except NotAdmittedError as error:
            if error.status == 401:  # noqa: PLR2004
                await self._dismiss(key)

    async def _dismiss(self, key: bytes) -> None:
        one = self._known.pop(key, None)
        if one is None:
            return
        tasks = [one.stays, *one.requests]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _stay(hub: Hub, kube: Kube) -> None:
    async with kube, hub.running():
        await asyncio.Event().wait()
