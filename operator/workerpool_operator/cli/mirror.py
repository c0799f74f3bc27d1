"""A live copy of a few objects of the cluster: one listing, then a watch, and again from the start when that breaks.

For people's tools, which look at one pool and its pods for minutes. The operator watches by other means (kopf).
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Self

import aiohttp

from workerpool_operator.kube import ClusterAccess, Kind, Kube, KubeError, errors

Json = dict[str, Any]

RETRY_SECONDS: Final = 1.0
UNWATCHED_SECONDS: Final = 15.0
"""Between two listings of what may be listed and not watched: all of it comes each time."""
_WATCH_SECONDS: Final = 300


class _UnwatchedError(Exception):
    """The user may list the objects, and not watch them."""


class Mirror:
    """Objects of one kind, by name, as they are now. Use it as an async context manager.

    Without `namespace` those of all namespaces, by `namespace/name`. `fields` is a field selector beside `name`.
    `on_change` is called with the monotonic time of arrival after each change, and after each listing.
    """

    def __init__(
        self,
        access: ClusterAccess,
        kube: Kube,
        kind: Kind,
        *,
        namespace: str | None,
        name: str = "",
        label_selector: str = "",
        fields: str = "",
        on_change: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.objects: dict[str, Json] = {}
        self.error: str = ""
        """Why the copy may be old; empty while it is up to date."""
        self._access = access
        self._kube = kube
        self._kind = kind
        self._namespace = namespace
        chosen = [f"metadata.name={name}"] * bool(name) + [fields] * bool(fields)
        self._selectors = {"labelSelector": label_selector, "fieldSelector": ",".join(chosen)}
        self._on_change = on_change
        self._listed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """List; raises KubeError when that is refused, so a typing error or a missing right shows at once."""
        version = await self._list()
        self._task = asyncio.create_task(self._follow(version), name=f"watch {self._kind.plural}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self, version: str) -> None:
        async with self._access.watch_session() as session:
            while True:
                try:
                    await self._watch(session, version)
                    version = await self._list()
                    self.error = ""
                except _UnwatchedError:
                    self.error = (
                        f"you may not watch {self._kind.plural}, so they are read every {UNWATCHED_SECONDS:g} s"
                    )
                    await asyncio.sleep(UNWATCHED_SECONDS)
                    with contextlib.suppress(KubeError):
                        version = await self._list()
                except (KubeError, aiohttp.ClientError, OSError, ValueError) as error:
                    self.error = str(error) or type(error).__name__
                    await asyncio.sleep(RETRY_SECONDS)
                    with contextlib.suppress(KubeError):  # that of before stands
                        version = await self._list()
                        self.error = ""

    async def _list(self) -> str:
        listing = self._kube.list(
            self._kind,
            namespace=self._namespace,
            label_selector=self._selectors["labelSelector"],
            field_selector=self._selectors["fieldSelector"],
        )
        found = await listing.all()
        self.objects = {self._key(obj): obj for obj in found}
        self._on_change(time.monotonic())
        return listing.resource_version

    def _key(self, obj: Any) -> str:
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        if not isinstance(metadata, dict) or not metadata.get("name"):
            raise errors.Unavailable(f"{self._kind.plural}: what comes in the API server's name is no object of it")
        return str(metadata["name"] if self._namespace else f"{metadata.get('namespace', '')}/{metadata['name']}")

    async def _watch(self, session: aiohttp.ClientSession, version: str) -> None:
        """Take in events until the server ends the watch, which it does every few minutes."""
        async with contextlib.aclosing(self._events(session, version)) as events:
            async for event in events:
                # Whatever stands between here and the API server may speak in its place.
                if not isinstance(event, dict) or "type" not in event:
                    raise errors.Unavailable(f"watch of {self._kind.plural}: what comes is no event")
                if event["type"] == "ERROR":  # too old, most of the time: the next listing mends it
                    return
                key = self._key(event.get("object"))
                if event["type"] == "DELETED":
                    self.objects.pop(key, None)
                else:
                    self.objects[key] = event["object"]
                self._on_change(time.monotonic())

    async def _events(self, session: aiohttp.ClientSession, version: str) -> AsyncGenerator[Mapping[str, Any], None]:
        query = {
            **{key: value for key, value in self._selectors.items() if value},
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        url = self._access.server + self._kind.path(namespace=self._namespace)
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SECONDS + 30)
        async with session.get(url, params=query, timeout=patience) as answer:
            if answer.status == 403:  # noqa: PLR2004  an HTTP status
                raise _UnwatchedError
            answer.raise_for_status()
            try:
                async for line in answer.content:
                    yield json.loads(line)
            finally:
                _hang_up(answer)


def _hang_up(answer: aiohttp.ClientResponse) -> None:
    """Close the connection of a watch now, if it is still open.

    The session gives a watch that is left back at once, yet TLS' goodbye waits for the server's; nobody waits for
    that, and a loop that ends meanwhile leaves the socket open.
    """
    if answer.connection is not None and (transport := answer.connection.transport) is not None:
        transport.abort()
