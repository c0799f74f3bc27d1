"""The WorkerPool resource, as it is read from the API server."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator

from workerpool_operator.api._base import Model
from workerpool_operator.api.errors import InvalidPoolError
from workerpool_operator.api.spec import WorkerPoolSpec
from workerpool_operator.api.status import WorkerPoolStatus

GROUP: Final = "workerpool.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "WorkerPool"
PLURAL: Final = "workerpools"
MAX_NAME: Final = 47
"""So that `<pool>-<version hash>-<revision hash>` is a DNS label."""


class Metadata(Model):
    """What is needed of an object's metadata."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class WorkerPool(Model):
    """A pool of workers that take jobs from queues. It is scaled by what waits in them."""

    metadata: Metadata
    spec: WorkerPoolSpec = Field(description="What the user wants of the pool.")
    status: WorkerPoolStatus = Field(
        default=WorkerPoolStatus(), description="What the operator saw and decided. Written by the operator only."
    )

    @field_validator("status", mode="wrap")
    @classmethod
    def _unreadable_status_is_none(cls, value: Any, handler: Any) -> Any:
        """A status is output: one that cannot be read is written anew."""
        try:
            return handler(value)
        except ValidationError:
            return WorkerPoolStatus()

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """`metadata.namespace`."""
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        """`metadata.uid`."""
        return self.metadata.uid

    @property
    def generation(self) -> int:
        """`metadata.generation`."""
        return self.metadata.generation

    @property
    def being_deleted(self) -> bool:
        """Whether the deletion has begun."""
        return self.metadata.deletion_timestamp is not None


def parse(body: Mapping[str, Any]) -> WorkerPool:
    """The pool in an object from the API server.

    Raises:
        InvalidPoolError: a field is not as this program knows it.
    """
    try:
        return WorkerPool.model_validate(body)
    except ValidationError as error:
        raise InvalidPoolError.of(error) from None
