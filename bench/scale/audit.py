"""Requests counted where they are answered: by the API server's audit log, alike for every system."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml


def policy(users: Sequence[str]) -> str:
    """The audit policy: one event for each request of these users that has been answered, none for all others."""
    counted: dict[str, Any] = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": list(users)}, {"level": "None"}],
    }
    return yaml.safe_dump(counted)


def flags(policy_file: Path, log: Path) -> tuple[str, ...]:
    """How the API server is told; its log is one file, however long it becomes."""
    return (f"--audit-policy-file={policy_file}", f"--audit-log-path={log}", "--audit-log-maxsize=1000000")


def by_user(lines: Iterable[bytes]) -> Counter[str]:
    """Requests by who made them. A watch counts when it ends."""
    return Counter(str(json.loads(line)["user"]["username"]) for line in lines)


class AuditLog:
    """A log that is read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._counts: Counter[str] = Counter()

    async def requests(self, user: str) -> int:
        """How many this user has made so far."""
        await asyncio.to_thread(self._catch_up)
        return self._counts[user]

    def _catch_up(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
        # The last line may be half written.
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        self._counts += by_user(whole.splitlines())
