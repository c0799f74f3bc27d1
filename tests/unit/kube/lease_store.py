"""A Lease in memory, with the API server's optimistic locking, and ways to make it misbehave."""

import asyncio
from copy import deepcopy
from typing import Any

from workerpool_operator.kube import errors
from workerpool_operator.kube.kinds import ObjectRef

Json = dict[str, Any]


class LeaseStore:
    """The server's side: one lease, written by whoever names its resource version."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.writes = 0
        self._version = 100

    def store(self, lease: Json) -> Json:
        self._version += 1
        self.writes += 1
        self.lease = deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        return deepcopy(self.lease)


class Link:
    """One replica's connection to the store: what it asks may be lost, or its answer may."""

    def __init__(self, store: LeaseStore, *, delay: float = 0.01) -> None:
        self.store = store
        self.delay = delay
        self.request_lost = False
        self.answer_lost = False
        self.requests = 0

    async def get(self, ref: ObjectRef) -> Json:
        await self._travel()
        if self.store.lease is None:
            raise errors.NotFound(str(ref))
        answer = deepcopy(self.store.lease)
        await self._travel_back()
        return answer

    async def create(self, obj: Json) -> Json:
        await self._travel()
        if self.store.lease is not None:
            raise errors.AlreadyExists
        answer = self.store.store(obj)
        await self._travel_back()
        return answer

    async def merge_patch(self, ref: ObjectRef, patch: Json, *, resource_version: str | None = None) -> Json:
        await self._travel()
        if self.store.lease is None:
            raise errors.NotFound(str(ref))
        if self.store.lease["metadata"]["resourceVersion"] != resource_version:
            raise errors.Conflict
        answer = self.store.store(_merged(self.store.lease, patch))
        await self._travel_back()
        return answer

    async def _travel(self) -> None:
        self.requests += 1
        await asyncio.sleep(self.delay)
        if self.request_lost:
            await asyncio.sleep(4)
            raise errors.RequestTimeout

    async def _travel_back(self) -> None:
        await asyncio.sleep(self.delay)
        if self.answer_lost:
            await asyncio.sleep(4)
            raise errors.RequestTimeout


def _merged(obj: Json, patch: Json) -> Json:
    """A JSON merge patch, applied."""
    merged = dict(obj)
    for key, value in patch.items():
        if isinstance(value, dict):
            merged[key] = _merged(merged.get(key) or {}, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged
