"""A Prometheus of this machine that has seen three hours of every metric there is."""

import contextlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.dashboards import Query
from tests.component.dashboards.history import SECONDS, openmetrics
from tests.support.prometheus import prometheus_with


@dataclass(frozen=True)
class Prometheus:
    """Where it is. `end`: the last second of its history, as a Unix time."""

    url: str
    end: int

    def series(self, query: Query, *, pool: str = "thumbnails|mails") -> list[dict[str, Any]]:
        """Over the last two hours, as a panel asks; of a choice of several pools Grafana makes a regular expression."""
        expression = query.promql
        for name, value in {"$__rate_interval": "2m", "$namespace": ".*", "$pool": pool}.items():
            expression = expression.replace(name, value)
        asked = {"query": expression, "start": self.end - 7200, "end": self.end, "step": 60}
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(asked)}") as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Prometheus]:
    """One that keeps its files there."""
    end = int(time.time()) // 60 * 60
    with prometheus_with(openmetrics(begin=end - SECONDS), folder) as url:
        yield Prometheus(url, end)
