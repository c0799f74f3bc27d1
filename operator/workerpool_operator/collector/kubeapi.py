"""The two things asked of the Kubernetes API: this namespace's worker pods, and the keys that sign tokens.

Plain REST: a client library costs more memory than the whole collector. Token and CA are read again for each session,
and each watch has one of its own, because they are rotated.
"""

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog

from workerpool_operator.collector.board import Board, PodInfo

SELECTOR: Final = "app.kubernetes.io/managed-by=workerpool-operator,app.kubernetes.io/component=worker"
POOL_LABEL: Final = "workerpool.dev/pool"
VERSION_LABEL: Final = "workerpool.dev/version"
REVISION_LABEL: Final = "workerpool.dev/revision"
PLACE_LABEL: Final = "workerpool.dev/place"
WATCH_SECONDS: Final = 1800
"""At least, and up to a fifth more, so that those that began together do not go on to ask together. Each namespace has
a collector: in sum they would ask for more than the operator does."""
SILENCE_SECONDS: Final = 90.0
"""A watch sends bookmarks about once a minute; one that is silent for longer is dead."""
RETRY_FIRST_SECONDS: Final = 0.2
RETRY_MAX_SECONDS: Final = 10.0
CHUNK: Final = 250
SAME_MOMENT: Final = timedelta(seconds=1)

_FINISHED: Final = frozenset({"Succeeded", "Failed"})

_log = structlog.get_logger(__name__)


class ApiClient:
    """Reads from the API server as this pod's service account."""

    def __init__(self, server: str, directory: Path) -> None:
        """`directory` holds token and ca.crt."""
        self._server = server
        self._directory = directory

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A session with the credentials of this moment. Relative URLs go to the API server."""
        token = (self._directory / "token").read_text().strip()
        context: ssl.SSLContext | bool = True
        if self._server.startswith("https"):
            context = ssl.create_default_context(cafile=str(self._directory / "ca.crt"))
        async with aiohttp.ClientSession(
            base_url=self._server,
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=SILENCE_SECONDS),
            read_bufsize=2**21,
        ) as session:
            yield session

    async def get_json(self, path: str) -> dict[str, Any]:
        """One JSON document. Raises aiohttp.ClientError, TimeoutError or ValueError."""
        async with asyncio.timeout(10), self.session() as session, session.get(path) as answer:
            answer.raise_for_status()
            document: dict[str, Any] = json.loads(await answer.read())
            return document


class PodWatch:
    """Keeps the board's pods as they are in the cluster: list, watch, and again when the watch breaks."""

    def __init__(
        self,
        api: ApiClient,
        board: Board,
        *,
        namespace: str,
        synced: Callable[[], None],
        tell: Callable[[str, Iterable[str]], None],
    ) -> None:
        """`tell(pool, uids)`: what these workers are to do has changed."""
        self._api = api
        self._board = board
        self._tell = tell
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._synced = synced

    async def run(self) -> None:
        """Follow the pods until cancelled, through outages of any length."""
        delay, version = RETRY_FIRST_SECONDS, ""
        while True:
            try:
                async with self._api.session() as session:
                    if not version:
                        version = await self._list(session)
                        self._synced()
                        delay = RETRY_FIRST_SECONDS
                    version = await self._watch(session, version)
                await asyncio.sleep(RETRY_FIRST_SECONDS)  # a server that ends each watch at once is not pressed
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                _log.warning("pods_not_followed", error=str(error) or type(error).__name__)
                version = ""
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  spreads load
                delay = min(2 * delay, RETRY_MAX_SECONDS)

    async def _list(self, session: aiohttp.ClientSession) -> str:
        seen: set[str] = set()
        token = version = ""
        while True:
            query = {"labelSelector": SELECTOR, "limit": str(CHUNK)} | ({"continue": token} if token else {})
            async with asyncio.timeout(30), session.get(self._path, params=query) as answer:
                answer.raise_for_status()
                page = json.loads(await answer.read())
            for pod in page.get("items") or []:
                seen.add(pod["metadata"]["uid"])
                self._take(pod)
            version = str(page["metadata"]["resourceVersion"])
            token = str(page["metadata"].get("continue", ""))
            if not token:
                break
        for uid in self._board.pods.keys() - seen:
            self._board.pod_gone(uid)
        return version

    async def _watch(self, session: aiohttp.ClientSession, version: str) -> str:
        """Follow what happens from `version` on, until the server ends it. The last one, or nothing: it is too old."""
        query = {
            "labelSelector": SELECTOR,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(WATCH_SECONDS * random.uniform(1, 1.2))),  # noqa: S311  spreads load
        }
        async with session.get(self._path, params=query) as answer:
            if answer.status == 410:  # noqa: PLR2004  an HTTP status: Gone
                return ""
            answer.raise_for_status()
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._event(event["type"], event["object"])
        return version

    def _event(self, kind: str, pod: Mapping[str, Any]) -> None:
        if kind == "DELETED":
            self._board.pod_gone(pod["metadata"]["uid"])
        elif kind != "BOOKMARK":
            self._take(pod)

    def _take(self, pod: Mapping[str, Any]) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        if status.get("phase") in _FINISHED:
            self._board.pod_gone(metadata["uid"])
            return
        before = self._board.pods.get(metadata["uid"])
        conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
        ready = conditions.get("Ready", {}).get("status") == "True"
        labels = metadata.get("labels", {})
        seen = PodInfo(
            name=metadata["name"],
            uid=metadata["uid"],
            pool=labels.get(POOL_LABEL, ""),
            version=labels.get(VERSION_LABEL, ""),
            deployment="-".join(
                labels[key] for key in (POOL_LABEL, VERSION_LABEL, REVISION_LABEL, PLACE_LABEL) if key in labels
            ),
            node=pod.get("spec", {}).get("nodeName", ""),
            ip=status.get("podIP", ""),
            ready=ready,
            was_ready=ready or (before is not None and before.was_ready) or fell_from_ready(conditions),
            terminating="deletionTimestamp" in metadata,
            crashes=deaths(status),
            evicted=conditions.get("DisruptionTarget", {}).get("status") == "True",
        )
        if self._board.pod_seen(seen):
            self._tell(seen.pool, [seen.uid])


def deaths(status: Mapping[str, Any]) -> int:
    """How often the pod's containers have died. One that lies dead until its restart counts already, and only once."""
    return sum(
        int(container.get("restartCount", 0)) + _lies_dead(container.get("state", {}))
        for container in status.get("containerStatuses", ())
    )


def _lies_dead(state: Mapping[str, Any]) -> bool:
    return "terminated" in state or state.get("waiting", {}).get("reason") == "CrashLoopBackOff"


def fell_from_ready(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a pod that is not ready has been ready before, by its conditions alone.

    A collector that starts anew must know it: it may have been on the very node that was lost. Both conditions stand at
    the pod's start, Initialized for good; Ready has a later time only once it has changed. Their times are whole
    seconds, and need not fall into the same one.
    """
    try:
        initialized, ready = (_changed_at(conditions[kind]) for kind in ("Initialized", "Ready"))
    except (KeyError, TypeError, ValueError):
        return False
    return ready - initialized > SAME_MOMENT


def _changed_at(condition: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(condition["lastTransitionTime"])
