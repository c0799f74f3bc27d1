"""What the API server knows of `metadata`, which is the same for all kinds and stands in no resource definition."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workerpool_operator.cli.lint.fault import Fault

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_SWITCH: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "integer"}
_OWNER: Final = {
    "type": "object",
    "required": ["apiVersion", "kind", "name", "uid"],
    "properties": {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _TEXT),
        **dict.fromkeys(("controller", "blockOwnerDeletion"), _SWITCH),
    },
}
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        **dict.fromkeys(("name", "generateName", "namespace", "uid", "resourceVersion", "selfLink"), _TEXT),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _TEXT),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _NUMBER),
        **dict.fromkeys(("labels", "annotations"), _TEXTS),
        "finalizers": {"type": "array", "items": _TEXT},
        "ownerReferences": {"type": "array", "items": _OWNER},
        "managedFields": {
            "type": "array",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
}
"""ObjectMeta, as far as it is written by people, as a structural schema."""

_PART: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MOST_PREFIX, _MOST_ANNOTATIONS = 253, 256 * 1024
_PART_WORDS: Final = (
    "at most 63 characters out of letters, digits, '-', '_' and '.', with a letter or digit at both ends"
)


def faults(metadata: Any) -> Iterator[Fault]:
    """What is wrong with labels and annotations that are of their types."""
    if not isinstance(metadata, Mapping):
        return
    labels, annotations = (_texts(metadata.get(name)) for name in ("labels", "annotations"))
    for at, keys in (("metadata.labels", labels), ("metadata.annotations", annotations)):
        for key in keys:
            # Annotations are compared in lower case by the API server, and so may have a prefix in capitals.
            if not _qualified(key.lower() if at.endswith("annotations") else key):
                yield Fault(
                    field=at, message=f"{key!r} is no key: a name has {_PART_WORDS}, after a DNS name and / or not"
                )
    for value in labels.values():
        if value and not _PART.fullmatch(value):
            yield Fault(
                field="metadata.labels", message=f"{value!r} is no label's value: it is empty or has {_PART_WORDS}"
            )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _MOST_ANNOTATIONS:
        yield Fault(field="metadata.annotations", message=f"{size} bytes are more than {_MOST_ANNOTATIONS}")


def _texts(found: Any) -> dict[str, str]:
    pairs = found.items() if isinstance(found, Mapping) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    fits = not slash or (len(prefix) <= _MOST_PREFIX and _PREFIX.fullmatch(prefix) is not None)
    return fits and _PART.fullmatch(name) is not None
