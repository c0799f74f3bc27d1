"""Who looks at the page in the cluster: for each token what it may see, read with that token, and nothing else.

The program has no credentials of its own. What one token has brought is shown to that token only, is forgotten when
nobody has asked with it for a while, and as soon as the API server no longer accepts it: it is asked again and again.

There are so many places, one for each token and namespace that is looked at, and of these one account may have a few:
so nobody can take them all. Where they are taken, one that nobody looks at just now makes room.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool_operator.kube import ClusterAccess, Kube, KubeError, errors
from workerpool_operator.ui.home import IN_CLUSTER
from workerpool_operator.ui.hub import PROGRAM, Hub
from workerpool_operator.ui.site import Site

MOST: Final = 64
"""Places: each costs what a watch of all pools costs."""
MOST_OF_ONE: Final = 8
"""Places of one account, whatever tokens it brings and whichever namespaces it names."""
CHECK_SECONDS: Final = 20.0
LINGER_SECONDS: Final = 60.0
_CHECKS_AT_ONCE: Final = 8

_ALL_YOURS: Final = (
    f"Your account has {MOST_OF_ONE} places of this page already, one for each token and namespace that it looks at, "
    "which is as many as one account may have. Close a tab of them, and try again."
)
_ALL_TAKEN: Final = (
    "All {most} places of this page are taken, by {accounts} accounts that look at it now. One is free as soon as one "
    "of them closes a tab. Try again in a minute, or use wpool ui."
)

Opener = Callable[[str], ClusterAccess]
"""Access to the API server with this token."""


class NotAdmittedError(Exception):
    """Why nothing is shown; the text is for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True, kw_only=True)
class Visitor:
    """Whoever has one token, and looks at one namespace, or at all."""

    owner: str
    """The name of their account."""
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
            NotAdmittedError: the API server does not know the token, or cannot be asked, or no place is left.
        """
        key = hashlib.sha256(f"{namespace or ''}\0{token}".encode()).digest()
        known = self._known.get(key)
        now = time.monotonic()
        if known is None or now - known.checked_at > self._check_seconds:
            access = known.access if known else self._open(token).acting_as(PROGRAM)
            owner = await self._check(access)
            known = self._known.get(key)  # another request of theirs may have been quicker
            if known is None:
                await self._make_room(owner)
                known = self._known.get(key) or self._arrived(access, namespace, owner)
                self._known[key] = known
        known.checked_at = max(known.checked_at, now)
        known.seen_at = now
        return known

    async def _make_room(self, owner: str) -> None:
        """See to it that there is a place. Afterwards nothing may be waited for until it is taken."""
        while True:
            own = [key for key, one in self._known.items() if one.owner == owner]
            if len(own) >= MOST_OF_ONE:
                full, refusal = own, NotAdmittedError(429, _ALL_YOURS)
            elif len(self._known) >= MOST:
                accounts = len({one.owner for one in self._known.values()})
                full, refusal = (
                    list(self._known),
                    NotAdmittedError(503, _ALL_TAKEN.format(most=MOST, accounts=accounts)),
                )
            else:
                return
            idle = [key for key in full if not self._known[key].requests]
            if not idle:
                raise refusal
            await self._dismiss(min(idle, key=lambda key: self._known[key].seen_at))

    async def _check(self, access: ClusterAccess) -> str:
        """Whose token it is."""
        try:
            async with self._slots, Kube(access) as kube:
                return await kube.whoami()
        except (errors.Unauthorized, errors.Forbidden):
            raise NotAdmittedError(401, "The cluster does not accept this token.") from None
        except errors.Untrusted as error:
            said = f"The API server's certificate does not fit ({error.detail}), so no token is sent to it."
            raise NotAdmittedError(503, f"{said} {IN_CLUSTER.certificate}") from None
        except KubeError:
            raise NotAdmittedError(503, "The API server does not answer, so nothing is shown. Try again.") from None

    def _arrived(self, access: ClusterAccess, namespace: str | None, owner: str) -> Visitor:
        kube = Kube(access)
        hub = Hub(access, kube, namespace=namespace, home=IN_CLUSTER)
        now = time.monotonic()
        stays = asyncio.create_task(_stay(hub, kube))
        site = Site(hub, root="/")
        return Visitor(owner=owner, access=access, kube=kube, site=site, stays=stays, checked_at=now, seen_at=now)

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
