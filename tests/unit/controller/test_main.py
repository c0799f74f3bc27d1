"""What `python -m workerpool_operator` says when it cannot start."""

from pathlib import Path

import pytest
from prometheus_client import enable_created_metrics

from workerpool_operator import __main__ as program
from workerpool_operator import logs
from workerpool_operator.metrics import OperatorMetrics


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["workerpool_operator"])
    monkeypatch.setattr(logs, "configure", lambda *, level: None)
    monkeypatch.setenv("POD_NAMESPACE", "workerpool-system")
    monkeypatch.setenv("COLLECTOR_IMAGE", "workerpool:1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def test_counters_are_exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a second time as the moment at which they were created."""
    exported: list[bytes] = []

    async def run(_: object) -> None:
        metrics = OperatorMetrics()
        metrics.reconciled(seconds=0.1, error="x")
        exported.append(await metrics.exposition())

    monkeypatch.setattr(program, "_run", run)
    try:
        assert program.main() == 0
    finally:
        enable_created_metrics()  # type: ignore[no-untyped-call]
    assert b"_created" not in exported[0]


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLLECTOR_IMAGE")
    assert program.main() == 2
    assert "cannot start: COLLECTOR_IMAGE" in capsys.readouterr().err


def test_a_cluster_that_cannot_be_found_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cannot start: kubeconfig ")
