"""Which version and revision of its workers a pool asks for: two hashes over the resource, never over what is rendered.

| Hash | Over | A new one |
|---|---|---|
| version, 8 hex digits | what the user's code sees | is a new version of the user's program |
| revision, 6 hex digits | all other fields that reach the pod | runs the same program in other circumstances |

Rules that keep an upgrade of the operator from restarting every worker:
- A field that has its default is left out, so a field that is added later changes no hash.
- The default of a hashed field is never changed, and neither is its name. Tests pin both.
- If the way of hashing ever has to change, `SCHEME` goes up, and the change restarts workers knowingly.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import WorkerPool, WorkerSpec
from workerpool_operator.domain.desired.names import RESTART_ANNOTATION

SCHEME: Final = 1
VERSION_FIELDS: Final = frozenset(
    {
        "image",
        "command",
        "args",
        "env",
        "env_from",
        "resources",
        "volumes",
        "volume_mounts",
        "sidecars",
        "service_account_name",
        "run_as_user",
        "fs_group",
        "max_workers",
    }
)
REVISION_FIELDS: Final = frozenset(WorkerSpec.model_fields) - VERSION_FIELDS
_VERSION_DIGITS: Final = 8
_REVISION_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """What a pool asks for."""

    version: str
    revision: str


def hashes(pool: WorkerPool) -> Hashes:
    """The version and revision that this resource asks for."""
    return Hashes(version=_version(pool), revision=_revision(pool))


def _version(pool: WorkerPool) -> str:
    seen: dict[str, Any] = {"scheme": SCHEME, "worker": _fields(pool.spec.worker, VERSION_FIELDS)}
    restart = pool.metadata.annotations.get(RESTART_ANNOTATION, "")
    return _digest(seen | ({"restart": restart} if restart else {}), digits=_VERSION_DIGITS)


def _revision(pool: WorkerPool) -> str:
    queues = sorted(pool.spec.queues, key=lambda queue: queue.name)
    around = {
        "scheme": SCHEME,
        "worker": _fields(pool.spec.worker, REVISION_FIELDS),
        "queues": [queue.model_dump(mode="json", by_alias=True, exclude_defaults=True) for queue in queues],
    }
    return _digest(around, digits=_REVISION_DIGITS)


def _fields(worker: WorkerSpec, names: frozenset[str]) -> dict[str, Any]:
    return worker.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=set(names))


def _digest(value: Any, *, digits: int) -> str:
    """SHA-256 of the canonical JSON, cut to so many hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
