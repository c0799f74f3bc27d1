"""Lines of logs: read, chosen, and written for people or programs. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Any, Final

from rich.text import Text

from workerpool_operator.cli.terminal import one_line

_FIRST: Final = ("timestamp", "level", "event", "logger", "namespace", "pool", "version", "worker")
"""Known from elsewhere on a line for people."""
_STYLES: Final = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}


class Level(IntEnum):
    """How bad it is, as Python's logging counts it."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


_LEVELS: Final = {level.name.lower(): level for level in Level} | {"warn": Level.WARNING, "fatal": Level.CRITICAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of one worker."""

    at: datetime
    """When it was written, by the clock of the worker's node."""
    pool: str
    version: str
    worker: str
    """The pod."""
    text: str
    """As it was written."""
    fields: Mapping[str, Any] | None
    """Of a JSON line; None: it is none."""

    @classmethod
    def of(cls, text: str, *, at: datetime, pool: str, version: str, worker: str) -> "Line":
        """A line; what it says itself of its version and worker counts more than where it was found."""
        fields = _fields(text)
        said: Mapping[str, Any] = fields or {}
        return cls(
            at=at,
            pool=str(said.get("pool") or pool),
            version=str(said.get("version") or version),
            worker=str(said.get("worker") or worker),
            text=text,
            fields=fields,
        )

    @property
    def level(self) -> Level | None:
        """None: it does not say."""
        return _LEVELS.get(str((self.fields or {}).get("level", "")).lower())

    def as_json(self) -> str:
        """One JSON object in the schema of all logs, also for a line that was none; control characters escaped."""
        about = {"pool": self.pool, "version": self.version, "worker": self.worker}
        stamp = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields = self.fields if self.fields is not None else {"event": self.text}
        return json.dumps({"timestamp": stamp, **about, **fields})

    def for_people(self, *, today: date | None = None) -> Text:
        """Time (UTC), worker, level and event, and whatever else it says; with the day where it is not of `today`."""
        at = self.at.astimezone(UTC)
        head = f"{at:%H:%M:%S.%f}"[:12]
        head = head if today in {None, at.date()} else f"{at:%Y-%m-%d} {head}"
        if self.fields is None:
            return Text(f"{head} {self.worker} {one_line(self.text)}")
        level = str(self.fields.get("level", "")).lower()
        rest = "".join(
            f" {one_line(str(name))}={_value(value)}" for name, value in self.fields.items() if name not in _FIRST
        )
        found = Text(f"{head} {self.worker} ")
        found.append(f"{level.upper():7} ", style=_STYLES.get(level, ""))
        found.append(one_line(str(self.fields.get("event", ""))), style=_STYLES.get(level, ""))
        return found.append(rest, style="dim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which lines are wanted: those that match all that is set."""

    version: str = ""
    worker: str = ""
    job_id: str = ""
    level: Level | None = None
    """At least as bad."""

    @property
    def by_line(self) -> bool:
        """Whether lines of one worker differ in whether they are chosen."""
        return bool(self.job_id) or self.level is not None

    def wants(self, line: Line) -> bool:
        """Whether it is one of them. A line that says neither its job nor its level is none of a certain one."""
        said: Mapping[str, Any] = line.fields or {}
        return (
            (not self.version or line.version == self.version)
            and (not self.worker or line.worker == self.worker)
            and (not self.job_id or str(said.get("job_id", "")) == self.job_id)
            and (self.level is None or (line.level is not None and line.level >= self.level))
        )


def names_from(least: Level) -> list[str]:
    """The words by which lines say that they are at least as bad."""
    return [name for name, level in _LEVELS.items() if level >= least]


def _fields(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return one_line(text) if text and " " not in text else json.dumps(one_line(text), ensure_ascii=False)
