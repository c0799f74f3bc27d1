"""What others wrote, made fit to be shown: pure.

HTML is escaped where it is rendered. What is left are characters that do something without being seen: sequences for
terminals, control characters, and those that turn the direction of text, by which one thing can look like another.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

UNKNOWN: Final = "-"
LONGEST_LINE: Final = 4_000
_TERMINAL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # all else
)
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_SENTENCE: Final = ("event", "message", "msg")
_TIME: Final = ("timestamp", "time", "ts", "@timestamp")
_LEVEL: Final = ("level", "severity", "levelname")
_LEFT_OUT: Final = frozenset({*_SENTENCE, *_TIME, *_LEVEL})
_CLOCK: Final = re.compile(r"T(\d\d:\d\d:\d\d)")


def plain(text: str) -> str:
    """Without what acts unseen. Tabs and line ends stay."""
    return _UNSEEN.sub("", _TERMINAL.sub("", text))


def log_line(raw: str) -> str:
    """A line of a log, for people: one that is JSON as its time, level, sentence, and what else it says."""
    text = plain(raw.rstrip("\r\n"))[:LONGEST_LINE]
    if not text.startswith("{"):
        return text
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return text
    if not isinstance(said, dict) or not _first(said, _SENTENCE):
        return text
    clock = _CLOCK.search(_first(said, _TIME))
    rest = (f"{key}={_short(value)}" for key, value in said.items() if key not in _LEFT_OUT)
    parts = (clock[1] if clock else "", _first(said, _LEVEL).upper(), _first(said, _SENTENCE), *rest)
    return plain(" ".join(part for part in parts if part).replace("\n", " ⏎ "))[:LONGEST_LINE]


def _first(said: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((str(said[key]) for key in keys if said.get(key)), "")


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def amount(value: float | None, *, unit: str = "") -> str:
    """A figure for people: three digits, and a space for thousands; `-` where there is none."""
    if value is None:
        return UNKNOWN
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2  # noqa: PLR2004
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return f"{text} {unit}".rstrip()


def seconds(value: float | None) -> str:
    """A time span for people, in its two largest units."""
    if value is None:
        return UNKNOWN
    if value < 60:  # noqa: PLR2004
        return amount(round(value, 1 if value < 10 else 0), unit="s")  # noqa: PLR2004
    minutes, left = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
