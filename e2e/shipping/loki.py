"""What the Loki of the tests has, asked by LogQL."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

_SPAN: Final = 3600
"""Seconds before now that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Loki:
    """A Loki with its address for this machine."""

    url: str

    def lines(self, query: str) -> list[dict[str, Any]]:
        """Give the JSON lines of the last hour that a query finds: each as often as it is there, in any order."""
        start = time.time_ns() - _SPAN * 10**9
        parameters = urlencode({"query": query, "start": start, "limit": 5000, "direction": "forward"})
        path = f"/loki/api/v1/query_range?{parameters}"
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:  # noqa: S310  an address of ours
            found = json.load(answer)["data"]["result"]
        return [json.loads(text) for stream in found for _, text in stream["values"]]


def answers(port: int) -> bool:
    """Tell whether a Loki at this port of this machine takes and gives lines; an OSError means no."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return bool(answer.status == HTTPStatus.OK)
