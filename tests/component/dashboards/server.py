"""A Prometheus of this machine that has seen three hours of every metric there is."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.api import wait_until
from e2e.cluster.ports import free_port
from scripts.dashboards import Query
from tests.component.dashboards.history import SECONDS, openmetrics


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
    text, data, settings = folder / "history", folder / "data", folder / "prometheus.yml"
    end = int(time.time()) // 60 * 60
    text.write_text("\n".join(openmetrics(begin=end - SECONDS)) + "\n")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)], check=True, capture_output=True
    )
    settings.write_text("{}\n")
    port = free_port()
    address, files = f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={data}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={settings}", files, address], stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _ready(url), seconds=60, what="Prometheus")
        yield Prometheus(url, end)
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False
