"""Loki's `query_range`, played after its documentation: streams of labels, values of nanoseconds and a line."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web


@dataclass
class PlayedLoki:
    """What it has, and what it was asked."""

    url: str = ""
    lines: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    """Nanoseconds, labels of the stream, the line."""
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    refusal: str = ""

    def has(self, at: datetime, text: str, **labels: str) -> None:
        """A line that was shipped to it."""
        self.lines.append((round(at.timestamp() * 1e6) * 1000, labels, text))

    async def serve(self, request: web.Request) -> web.Response:
        """`GET /loki/api/v1/query_range`."""
        asked = dict(request.query)
        self.asked.append(asked)
        self.headers.append(request.headers)
        if self.refusal:
            return web.Response(status=400, text=self.refusal)
        query = asked["query"]
        [(label, namespace)] = re.findall(r'^{(\w+)="([^"]*)"}', query)
        assert asked["direction"] == "backward"
        found = [
            (at, labels, text)
            for at, labels, text in sorted(self.lines, key=lambda line: line[0], reverse=True)
            if int(asked["start"]) <= at < int(asked["end"])
            and labels.get(label) == namespace
            and _passes(query, json.loads(text))
        ][: int(asked["limit"])]
        streams = [{"stream": labels, "values": [[str(at), text]]} for at, labels, text in found]
        return web.json_response({"status": "success", "data": {"resultType": "streams", "result": streams}})


def _passes(query: str, line: dict[str, Any]) -> bool:
    """Whether it passes the stages behind `| json`."""
    for name, operator, value in re.findall(r'\| wpool_(\w+)(=|!=|=~|!~)"([^"]*)"', query):
        said = str(line.get(name, ""))
        same = re.fullmatch(value, said) is not None if "~" in operator else said == value
        if same is operator.startswith("!"):
            return False
    return True


@contextlib.asynccontextmanager
async def played_loki() -> AsyncIterator[PlayedLoki]:
    """It listens on this machine."""
    loki = PlayedLoki()
    app = web.Application()
    app.router.add_get("/loki/api/v1/query_range", loki.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    loki.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield loki
    finally:
        await runner.cleanup()
