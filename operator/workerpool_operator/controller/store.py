"""What is known of the cluster: trimmed copies of the pools and of the objects that the operator owns.

Fed by watch events, by answers to the operator's own writes (so it always reads its own writes), and by the periodic
LIST, which also finds the deletions that a broken watch lost. An object is kept as compressed JSON without what
nobody compares (managedFields, most of status): thousands of pools cost a few tens of megabytes.
"""

import json
import math
import time
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.kube.kinds import Kind
from workerpool_operator.kube.recent import Recent

Namespace: TypeAlias = str
Name: TypeAlias = str

_TOLD_BY_PEOPLE: Final = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
_GRAVES: Final = 10_000
"""How many deleted objects are remembered at most."""
_BURIED_SECONDS: Final = 900.0
"""For how long. What shows a deleted object as it was may come late: the answer to a write by seconds, a page of a
listing by the five to ten minutes for which the API server knows the state that it began with."""
_NOISE: Final = frozenset({"managedFields", "selfLink", "generateName"})


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as last observed."""

    uid: str
    version: int
    """resourceVersion; comparable since every supported Kubernetes serves it from etcd's revision."""
    packed: bytes
    pool: str = ""
    """Value of the pool label: whose child it is."""

    def unpack(self) -> dict[str, Any]:
        """The trimmed object."""
        body: dict[str, Any] = json.loads(zlib.decompress(self.packed))
        return body


class Store:
    """Objects by kind, namespace and name. Older versions never replace newer ones."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing."""
        self._objects: dict[Kind, dict[Namespace, dict[Name, Stored]]] = {}
        self._buried = Recent[str, float](seconds=_BURIED_SECONDS, limit=_GRAVES, clock=clock)
        """By uid: the newest version that is not taken in."""
        self._children: dict[tuple[Kind, Namespace, Name], dict[Name, Stored]] = {}
        self._absent: dict[Kind, Absence] = {}

    def put(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """Take in an observed object. False when what is stored is as new or newer.

        The dead stay dead: the answer to a write may arrive after the news that its object was deleted. What only lost
        its label, and was out of sight, is seen again in any newer version.
        """
        metadata = body["metadata"]
        names = self._objects.setdefault(kind, {}).setdefault(metadata.get("namespace", ""), {})
        version = int(metadata["resourceVersion"])
        known = names.get(metadata["name"])
        uid = metadata["uid"]
        newest_dead = self._buried.get(uid)
        if (newest_dead is not None and newest_dead >= version) or (known is not None and known.version >= version):
            return False
        self._buried.forget(uid)
        packed = zlib.compress(json.dumps(_trim(body), separators=(",", ":")).encode(), 1)
        pool = metadata.get("labels", {}).get(POOL_LABEL, "")
        stored = Stored(uid=uid, version=version, packed=packed, pool=pool)
        self._remove(kind, metadata.get("namespace", ""), metadata["name"])
        names[metadata["name"]] = stored
        if pool:
            self._children.setdefault((kind, metadata.get("namespace", ""), pool), {})[metadata["name"]] = stored
        return True

    def drop(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """An object is gone; with `uid`, only that very object. False when it was not known."""
        names = self._objects.get(kind, {}).get(namespace, {})
        known = names.get(name)
        if known is None or (uid is not None and known.uid != uid):
            return False
        self._buried.set(known.uid, math.inf)
        self._remove(kind, namespace, name)
        return True

    def lose(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """An object has lost the label of what the operator owns. False when it was not known, or is known newer."""
        metadata = body["metadata"]
        namespace, name, version = metadata.get("namespace", ""), metadata["name"], int(metadata["resourceVersion"])
        known = self.get(kind, namespace, name)
        if known is None or known.version >= version:
            return False
        self._buried.set(known.uid, version)
        self._remove(kind, namespace, name)
        return True

    def get(self, kind: Kind, namespace: str, name: str) -> Stored | None:
        """One object, or None."""
        return self._objects.get(kind, {}).get(namespace, {}).get(name)

    def names(self, kind: Kind, namespace: str) -> Mapping[Name, Stored]:
        """All objects of a kind in a namespace."""
        return self._objects.get(kind, {}).get(namespace, {})

    def namespaces(self, kind: Kind) -> Iterator[Namespace]:
        """Namespaces that hold at least one object of the kind."""
        return (namespace for namespace, names in list(self._objects.get(kind, {}).items()) if names)

    def drop_unseen(
        self, kind: Kind, seen: Container[tuple[str, str]], *, listed_at: int, within: Namespace | None = None
    ) -> list[tuple[Namespace, Name, Stored]]:
        """After a complete LIST, of one namespace or of all: drop what it lacks, and return it.

        What is newer than the list (`listed_at`, its resourceVersion) was made while it was on its way, and stays.
        """
        gone = [
            (namespace, name, stored)
            for namespace, names in self._objects.get(kind, {}).items()
            for name, stored in names.items()
            if within in (None, namespace) and (namespace, name) not in seen and stored.version <= listed_at
        ]
        for namespace, name, stored in gone:
            self._buried.set(stored.uid, listed_at)
            self._remove(kind, namespace, name)
        return gone

    def drop_kind(self, kind: Kind) -> None:
        """The cluster does not serve the kind. That may pass, and the objects be there again: none counts as dead."""
        for namespace, names in self._objects.get(kind, {}).items():
            for name in list(names):
                self._remove(kind, namespace, name)

    def children(self, kind: Kind, namespace: str, pool: str) -> Mapping[Name, Stored]:
        """All objects of a kind that carry the pool's label."""
        return self._children.get((kind, namespace, pool), {})

    def absence(self, kind: Kind) -> Absence | None:
        """Why there are no objects of an optional kind; None where there may be."""
        return self._absent.get(kind)

    def set_absence(self, kind: Kind, absence: Absence | None) -> bool:
        """Note whether an optional kind can be used. True when that is news."""
        if self._absent.get(kind) == absence:
            return False
        if absence is None:
            del self._absent[kind]
        else:
            self._absent[kind] = absence
        return True

    def _remove(self, kind: Kind, namespace: str, name: str) -> None:
        known = self._objects.get(kind, {}).get(namespace, {}).pop(name, None)
        if known is not None and known.pool:
            siblings = self._children[kind, namespace, known.pool]
            del siblings[name]
            if not siblings:
                del self._children[kind, namespace, known.pool]


def same_request(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of a pool ask for the same: only the status differs."""
    return all(before["metadata"].get(key) == after["metadata"].get(key) for key in _TOLD_BY_PEOPLE)


def same_labels(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of an object carry the same labels."""
    return bool(before["metadata"].get("labels") == after["metadata"].get("labels"))


def same_autoscaling(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two states of an HPA differ only in figures: it is to do the same, and says the same of itself."""
    return _autoscaling(before) == _autoscaling(after)


def _autoscaling(body: Mapping[str, Any]) -> object:
    status = body.get("status", {})
    return (
        [body["metadata"].get(key) for key in (*_TOLD_BY_PEOPLE, "ownerReferences")],
        body.get("spec"),
        [(one["type"], one["status"], one.get("reason")) for one in status.get("conditions", ())],
    )


def _trim(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NOISE}
    return {**body, "metadata": metadata}
