"""What a pool's status says of its rollout, for the commands: which version is meant, how it ended, what to show."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.domain.snapshot import VERSION_LABEL

_SHOWN: Final = (
    ("stable", "stable"),
    ("canary", "canary"),
    ("step", "step"),
    ("weight", "weight"),
    ("share of the workers", "podShare"),
    ("share of the jobs", "jobShare"),
    ("verdict", "verdict"),
    ("by", "cause"),
    ("waits", "wait"),
    ("signal", "signal"),
    ("ratio", "ratio"),
    ("from", "ratioLow"),
    ("to", "ratioHigh"),
    ("would have been found", "minimumDetectableRatio"),
    ("jobs", "jobs"),
    ("failures", "failures"),
    ("measured s", "measuredSeconds"),
    ("rejected", "rejected"),
    ("last command", "commandId"),
)


class NoRolloutError(TroubleError):
    """The pool has no rollout."""

    def __init__(self) -> None:
        super().__init__("the pool has no rollout: set spec.rollout.strategy to Canary")


class End(StrEnum):
    """How a rollout has ended."""

    PROMOTED = "promoted"
    """The pool's version is the stable one."""
    REJECTED = "rejected"
    """The pool's version was tried and went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One version in the history."""

    version: str
    role: str
    """stable, canary, rejected, or before: what it is to the pool now."""
    image: str = ""
    created: str = ""


def rollout_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The rollout's status; empty where there is none."""
    found: dict[str, Any] = body.get("status", {}).get("rollout") or {}
    return found


def meant(body: Mapping[str, Any]) -> str:
    """The version that a command is for: the one that is tried, else the one that the pool asks for.

    Raises:
        NoRolloutError: there is none.
        TroubleError: the operator has yet to say which that is.
    """
    rollout = rollout_of(body)
    if not rollout:
        raise NoRolloutError
    if not _up_to_date(body):
        raise TroubleError("the operator has not seen the pool's newest change yet: try again in a moment")
    return str(rollout.get("canary") or rollout.get("wanted") or "")


def ended(body: Mapping[str, Any]) -> End | None:
    """How the rollout of what the pool asks for now has ended; None while it has not."""
    rollout = rollout_of(body)
    if not rollout or not _up_to_date(body) or rollout.get("canary"):
        return None
    wanted = rollout.get("wanted")
    if wanted == rollout.get("stable"):
        return End.PROMOTED
    return End.REJECTED if wanted in rollout.get("rejected", ()) else None


def _up_to_date(body: Mapping[str, Any]) -> bool:
    return bool(body.get("status", {}).get("observedGeneration") == body["metadata"].get("generation"))


def lines(status: Mapping[str, Any]) -> list[str]:
    """A rollout's status, for people."""
    said = dict(status)
    if not said.get("ratio") and said.get("ratioLow") == "0":
        del said["ratioLow"]  # as older operators write it where nothing has failed: it says nothing
    shown = [(label, said.get(field)) for label, field in _SHOWN]
    objectives = [
        f"{one['name']:22} {one.get('canary') or '-'} miss it, stable {one.get('stable') or '-'}, may {one['allowed']}"
        for one in status.get("objectives", ())
    ]
    return [*_rows(shown), *objectives]


def _rows(shown: list[tuple[str, Any]]) -> list[str]:
    return [
        f"{label:22} {', '.join(value) if isinstance(value, list) else value}"
        for label, value in shown
        if value not in (None, "", 0, [])
    ]


def history(rollout: Mapping[str, Any], revisions: Iterable[Mapping[str, Any]]) -> list[Known]:
    """The versions that are known, newest first; those that were rejected and of which nothing is left come last."""
    rejected = list(rollout.get("rejected", ()))
    by_version: dict[str, Known] = {}
    for body in sorted(revisions, key=_created):
        version = body["metadata"].get("labels", {}).get(VERSION_LABEL, "")
        role = _role(version, rollout, rejected)
        by_version[version] = Known(version=version, role=role, image=_image(body), created=_created(body))
    found = sorted(by_version.values(), key=lambda known: known.created, reverse=True)
    return found + [Known(version=one, role="rejected") for one in rejected if one not in by_version]


def _role(version: str, rollout: Mapping[str, Any], rejected: list[str]) -> str:
    for role in ("stable", "canary"):
        if version == rollout.get(role):
            return role
    return "rejected" if version in rejected else "before"


def _created(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("creationTimestamp", ""))


def _image(body: Mapping[str, Any]) -> str:
    try:
        return str(body["data"]["template"]["spec"]["containers"][0]["image"])
    except (KeyError, IndexError, TypeError):
        return ""
