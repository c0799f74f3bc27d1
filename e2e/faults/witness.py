"""Sees every state that the pods and Deployments of a control plane go through, and keeps what F1 asks about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e.faults.kubelet import FakeKubelet, is_ready
from e2e.faults.watching import follow
from workerpool_operator.domain.desired import COMPONENT_LABEL, PLACE_LABEL, POOL_LABEL, VERSION_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, kinds
from workerpool_operator.protocol import PodReport

Json = dict[str, Any]


@dataclass(kw_only=True)
class Ledger:
    """What happened to one namespace's workers since the ledger was opened."""

    created: set[str] = field(default_factory=set)
    """Uids of worker pods that were made."""
    deleted: set[str] = field(default_factory=set)
    peak: dict[str, int] = field(default_factory=dict)
    """Pool -> the most workers that its Deployments asked for together, at any moment."""
    versions: dict[str, int] = field(default_factory=dict)
    """Pool -> the most versions that its Deployments asked for workers of at one moment."""

    def saw(self, pool: str, sizes: Iterable[tuple[str, int]]) -> None:
        """At this moment the pool's Deployments ask for so many workers each, of these versions."""
        asked = [(version, size) for version, size in sizes if size]
        self.peak[pool] = max(self.peak.get(pool, 0), sum(size for _, size in asked))
        self.versions[pool] = max(self.versions.get(pool, 0), len({version for version, _ in asked}))


class Witness:
    """Follows pods and Deployments of all namespaces, and has the fake kubelet, if there is one, start each pod."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, kubelet: bool = True) -> None:
        self._access = access
        self._kubelet = FakeKubelet(kube) if kubelet else None
        self._pods: dict[str, Json] = {}
        self._sizes: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._crowded: set[tuple[str, str]] = set()
        self._seen: dict[str, float] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._access, kinds.POD, on_event=self._on_pod), name="watch pods")
            group.create_task(
                follow(self._access, kinds.DEPLOYMENT, on_event=self._on_deployment), name="watch deployments"
            )

    def open(self, namespace: str) -> Ledger:
        """Start a new ledger for the namespace; the sizes of now count as its first moment."""
        ledger = Ledger()
        self._ledgers[namespace] = ledger
        for (where, pool), sizes in self._sizes.items():
            if where == namespace:
                ledger.saw(pool, sizes.values())
        return ledger

    def ready_workers(self, namespace: str, pool: str) -> Mapping[str, str]:
        """The pool's workers that are ready now: uid -> name."""
        return {
            uid: pod["metadata"]["name"]
            for uid, pod in self._pods.items()
            if pod["metadata"]["namespace"] == namespace and _pool_of(pod) == pool and is_ready(pod)
        }

    def seats(self, namespace: str, pool: str) -> Mapping[str, tuple[str, str, bool]]:
        """The pool's workers that have a node: uid -> name, node, whether it is ready."""
        return {
            uid: (pod["metadata"]["name"], pod["spec"]["nodeName"], is_ready(pod))
            for uid, pod in self._pods.items()
            if pod["metadata"]["namespace"] == namespace and _pool_of(pod) == pool and "nodeName" in pod["spec"]
        }

    def places(self, namespace: str, pool: str) -> list[str]:
        """Key of the place of each ready worker."""
        ready = self.ready_workers(namespace, pool)
        return [_place_of(pod) for uid, pod in self._pods.items() if uid in ready]

    def images(self, namespace: str, pool: str) -> set[str]:
        """The images that its ready workers run."""
        ready = self.ready_workers(namespace, pool)
        return {pod["spec"]["containers"][0]["image"] for uid, pod in self._pods.items() if uid in ready}

    def crowd(self, namespace: str, place: str) -> None:
        """From now on no pod starts there."""
        self._crowded.add((namespace, place))

    def make_room(self, namespace: str, place: str) -> None:
        """Pods start there again, those that wait as well."""
        self._crowded.discard((namespace, place))
        for pod in self._pods.values():
            if (pod["metadata"]["namespace"], _place_of(pod)) == (namespace, place):
                self._play("MODIFIED", pod)

    def waiting_workers(self, namespace: str, pool: str) -> tuple[PodReport, ...]:
        """Those of the pool that find no room, as the real collector tells of them."""
        return tuple(
            PodReport(
                uid=uid,
                version=pod["metadata"]["labels"].get(VERSION_LABEL, ""),
                placed=False,
                ready=False,
                deployment=pod["metadata"]["name"].rsplit("-", 2)[0],
                unheard_seconds=time.monotonic() - self._seen[uid],
            )
            for uid, pod in self._pods.items()
            if _pool_of(pod) == pool
            and (namespace, _place_of(pod)) in self._crowded
            and (pod["metadata"]["namespace"], is_ready(pod)) == (namespace, False)
            and "deletionTimestamp" not in pod["metadata"]
        )

    def _play(self, event: str, pod: Json) -> None:
        if self._kubelet is not None:
            self._kubelet.observe(event, pod)

    def _on_pod(self, event: str, pod: Json) -> None:
        if (pod["metadata"]["namespace"], _place_of(pod)) not in self._crowded:
            self._play(event, pod)
        if not _pool_of(pod):
            return
        uid, ledger = pod["metadata"]["uid"], self._ledgers.get(pod["metadata"]["namespace"], Ledger())
        if event == "DELETED":
            self._pods.pop(uid, None)
            ledger.deleted.add(uid)
            return
        if uid not in self._pods:
            ledger.created.add(uid)
        self._pods[uid] = pod
        self._seen.setdefault(uid, time.monotonic())

    def _on_deployment(self, event: str, deployment: Json) -> None:
        pool, metadata = _pool_of(deployment), deployment["metadata"]
        if not pool:
            return
        sizes = self._sizes.setdefault((metadata["namespace"], pool), {})
        if event == "DELETED":
            sizes.pop(metadata["name"], None)
        else:
            version = metadata["labels"].get(VERSION_LABEL, "")
            sizes[metadata["name"]] = (version, deployment["spec"]["replicas"])
        self._ledgers.get(metadata["namespace"], Ledger()).saw(pool, sizes.values())


def _place_of(pod: Json) -> str:
    return str(pod["metadata"].get("labels", {}).get(PLACE_LABEL, ""))


def _pool_of(body: Json) -> str:
    """The pool whose worker this is; empty for anything else, collectors included."""
    labels = body["metadata"].get("labels", {})
    return str(labels.get(POOL_LABEL, "")) if labels.get(COMPONENT_LABEL) == "worker" else ""
