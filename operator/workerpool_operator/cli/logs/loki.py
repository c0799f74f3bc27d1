"""Lines of workers that are gone, from Loki, by its HTTP API: `GET /loki/api/v1/query_range`.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import aiohttp

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.logs.lines import Line

PAGE: Final = 5000
"""Lines of one answer: what Loki allows by default (`max_entries_limit_per_query`)."""
MOST: Final = 50_000
_SECONDS: Final = 30.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loki:
    """Where it is, and as whom it is asked."""

    url: str
    tenant: str = ""
    """`X-Scope-OrgID`, where it serves several."""
    token: str = ""
    """Bearer token, where a gateway asks for one."""

    async def lines(self, namespace: str, pool: str, *, since: datetime, until: datetime) -> list[Line]:
        """What workers of the pool wrote in that time, oldest first; at most the first `MOST` lines.

        Raises:
            TroubleError: it cannot be asked, refuses, or does not answer as Loki does.
        """
        if not self.url.startswith(("http://", "https://")):
            raise TroubleError(f"{self.url} is no address of a Loki: write it as http://HOST:PORT")
        found: dict[tuple[int, str], Line] = {}
        start, end = _nanoseconds(since), _nanoseconds(until)
        headers = {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with aiohttp.ClientSession(headers=headers, trust_env=True) as session:
            while start < end and len(found) < MOST:
                page = await self._page(session, query(namespace, pool), start=start, end=end)
                found |= {(at, text): _line(at, text, labels, pool=pool) for at, text, labels in page}
                if len(page) < PAGE:
                    break
                # The end of a page may lie between lines of one moment: those of that moment come again.
                latest = max(at for at, _, _ in page)
                start = latest if latest > start else latest + 1
        return [found[key] for key in sorted(found)]

    async def _page(
        self, session: aiohttp.ClientSession, asked: str, *, start: int, end: int
    ) -> list[tuple[int, str, Mapping[str, str]]]:
        parameters = {"query": asked, "start": str(start), "end": str(end), "limit": str(PAGE), "direction": "forward"}
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


def query(namespace: str, pool: str) -> str:
    """LogQL for a pool's lines: by the label that shippers give every line, and by what the lines say themselves."""
    return f'{{namespace={_quoted(namespace)}}} |= {_quoted(pool)} | json | pool={_quoted(pool)} | worker!=""'


def _quoted(text: str) -> str:
    """As a string of LogQL, which are those of Go."""
    return json.dumps(text)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _line(at: int, text: str, labels: Mapping[str, str], *, pool: str) -> Line:
    moment = _EPOCH + timedelta(microseconds=at // 1000)
    worker, version = labels.get("worker") or labels.get("pod") or "", labels.get("version") or ""
    return Line.of(text.rstrip("\n"), at=moment, pool=pool, version=version, worker=worker)
