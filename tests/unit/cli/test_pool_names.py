"""How long a shell waits for names of pools."""

import subprocess
from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from workerpool_operator.cli import pool_names


@pytest.mark.parametrize(
    ("said", "seconds"), [("", 3.0), ("9", 9.0), ("0.5", 0.5), ("0", 3.0), ("-1", 3.0), ("inf", 3.0), ("soon", 3.0)]
)
def test_it_waits_three_seconds_or_what_is_said(said: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of that a third for the cluster, so that the process ends by itself where only that is away."""
    asked: dict[str, Any] = {}

    def run(words: list[str], *, timeout: float, **_: Any) -> SimpleNamespace:
        asked.update(words=words, timeout=timeout)
        return SimpleNamespace(stdout="thumbs\nthumbs-large\nmails\n")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv(pool_names.VARIABLE, said)
    typed = cast("typer.Context", SimpleNamespace(params={"namespace": "media", "everywhere": False}))
    assert pool_names.complete(typed, "th") == ["thumbs", "thumbs-large"]
    assert asked["timeout"] == seconds
    assert {"--namespace=media", "--begins=th", f"--seconds={seconds / 3}"} <= {*asked["words"]}
