"""Lines of workers that are gone, from Loki, by its HTTP API: `GET /loki/api/v1/query_range`.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.logs.lines import Choice, Line, names_from

LABELS: Final = ("namespace", "k8s_namespace_name")
"""Of streams, for a pod's namespace: as most shippers are told to name it, and as Loki names it for lines by OTLP."""
PAGE: Final = 5000
"""Lines of one answer: what Loki allows by default (`max_entries_limit_per_query`)."""
MOST: Final = 50_000
MOST_NAMED: Final = 100
"""Workers that a question leaves out by name: beyond this its address would be too long for proxies."""
_SECONDS: Final = 30.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]+")
"""What stands in a JSON line as it is, whoever wrote the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loki:
    """Where it is, and as whom it is asked."""

    url: str
    tenant: str = ""
    """`X-Scope-OrgID`, where it serves several."""
    token: str = ""
    """Bearer token, where a gateway asks for one."""
    labels: tuple[str, ...] = LABELS
    """Those of which one has the namespace."""

    async def lines(self, wanted: "Wanted", *, since: datetime, until: datetime) -> list[Line]:
        """What workers of the pool wrote in that time, oldest first; at most the newest `MOST` lines.

        Raises:
            TroubleError: it cannot be asked, refuses, or does not answer as Loki does.
        """
        if not self.url.startswith(("http://", "https://")):
            raise TroubleError(f"{self.url} is no address of a Loki: write it as http://HOST:PORT")
        found: dict[tuple[int, str], Line] = {}
        headers = {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with aiohttp.ClientSession(headers=headers, trust_env=True) as session:
            for label in self.labels:
                # By several: two shippers may have sent the same line.
                found |= await self._pages(session, label, wanted, start=_nanoseconds(since), end=_nanoseconds(until))
        return [found[key] for key in sorted(found)][-MOST:]

    async def _pages(
        self, session: aiohttp.ClientSession, label: str, wanted: "Wanted", *, start: int, end: int
    ) -> dict[tuple[int, str], Line]:
        found: dict[tuple[int, str], Line] = {}
        asked = query(label, wanted)
        while start < end and len(found) < MOST:
            page = await self._page(session, asked, start=start, end=end)
            found |= {(at, text): _line(at, text, labels, pool=wanted.pool) for at, text, labels in page}
            if len(page) < PAGE:
                break
            # The end of a page may lie between lines of one moment: those of that moment come again.
            earliest = min(at for at, _, _ in page)
            end = earliest + 1 if earliest + 1 < end else earliest
        return found

    async def _page(
        self, session: aiohttp.ClientSession, asked: str, *, start: int, end: int
    ) -> list[tuple[int, str, Mapping[str, str]]]:
        parameters = {"query": asked, "start": str(start), "end": str(end), "limit": str(PAGE), "direction": "backward"}
        url = f"{self.url.rstrip('/')}/loki/api/v1/query_range"
        try:
            async with session.get(url, params=parameters, timeout=aiohttp.ClientTimeout(total=_SECONDS)) as answer:
                text = await answer.text()
                if answer.status != 200:  # noqa: PLR2004  an HTTP status
                    raise TroubleError(f"Loki at {self.url} refuses (HTTP {answer.status}): {text.strip()[:300]}")
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
            why = str(error) or f"no answer within {_SECONDS:g} s"
            raise TroubleError(f"Loki at {self.url} cannot be asked: {why}") from error
        try:
            return [
                (int(value[0]), str(value[1]), stream.get("stream") or {})
                for stream in json.loads(text)["data"]["result"]
                for value in stream["values"]
            ]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise TroubleError(f"{self.url} does not answer as Loki does") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which lines."""

    namespace: str
    pool: str
    choice: Choice
    without: frozenset[str] = frozenset()
    """Workers whose lines are had already; with more than `MOST_NAMED` of them theirs may come as well."""


def query(label: str, wanted: Wanted) -> str:
    """LogQL for a pool's lines: by the label that shippers give every line, and by what the lines say themselves.

    What they say gets names of our own, since a label of the stream hides a field of its name from `| json`.
    """
    choice = wanted.choice
    plain = [text for text in (wanted.pool, choice.job_id) if _PLAIN.fullmatch(text)]
    fields = ("pool", "version", "worker", "job_id", "level")
    said = {"pool": wanted.pool, "version": choice.version, "worker": choice.worker, "job_id": choice.job_id}
    stages = [
        "json " + ", ".join(f'wpool_{name}="{name}"' for name in fields),
        'wpool_worker!=""',
        *(f"wpool_{name}={_quoted(value)}" for name, value in said.items() if value),
    ]
    if choice.level is not None:
        stages.append(f"wpool_level=~{_quoted('(?i)' + '|'.join(names_from(choice.level)))}")
    if 0 < len(wanted.without) <= MOST_NAMED:
        names = "|".join(sorted(wanted.without)).replace(".", r"\.")
        stages.append(f"wpool_worker!~{_quoted(names)}")
    narrowed = "".join(f" |= {_quoted(text)}" for text in plain)
    return f"{{{label}={_quoted(wanted.namespace)}}}{narrowed} | {' | '.join(stages)}"


def _quoted(text: str) -> str:
    """As a string of LogQL, which are those of Go."""
    return json.dumps(text, ensure_ascii=False)  # Go knows no pairs of surrogates


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _line(at: int, text: str, labels: Mapping[str, str], *, pool: str) -> Line:
    moment = _EPOCH + timedelta(microseconds=at // 1000)
    version, worker = labels.get("wpool_version", ""), labels.get("wpool_worker", "")
    return Line.of(text.rstrip("\n"), at=moment, pool=pool, version=version, worker=worker)
