"""What `python -m workerpool_operator` says when it cannot start."""

from pathlib import Path

import pytest

from workerpool_operator import __main__ as program
from workerpool_operator import logs


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["workerpool_operator"])
    monkeypatch.setattr(logs, "configure", lambda *, level: None)
    monkeypatch.setenv("POD_NAMESPACE", "workerpool-system")
    monkeypatch.setenv("COLLECTOR_IMAGE", "workerpool:1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLLECTOR_IMAGE")
    assert program.main() == 2
    assert "cannot start: COLLECTOR_IMAGE" in capsys.readouterr().err


def test_a_cluster_that_cannot_be_found_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cannot start: kubeconfig ")
