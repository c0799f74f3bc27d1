"""The program of `helm test`, where it is answered as it should not be; `make e2e-chart` has it run for real."""

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "charts" / "workerpool-operator" / "answers.py"


class Operator(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("answers", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(Operator, "status", 200)
    with ThreadingHTTPServer(("127.0.0.1", 0), Operator) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("OPERATOR", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NAMESPACE", "workerpool-system")
        yield module
        server.shutdown()
        thread.join()


def test_an_operator_that_is_ready_is(program: ModuleType) -> None:
    assert program.holds(program.ready, until=0.0)


def test_one_that_is_not_ready_is_not(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Operator, "status", 503)
    assert not program.holds(program.ready, until=0.0)
    assert "503" in capsys.readouterr().out


def leases(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *specs: dict[str, Any]) -> None:
    """The API server has these Leases, one after the other, the last for ever."""
    usual = {"holderIdentity": "operator-1", "leaseDurationSeconds": 0.02, "renewTime": "2026-01-01T00:00:00.000000Z"}
    left = [{"spec": usual | spec} for spec in specs]
    monkeypatch.setattr(program, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(program, "api", lambda path: left.pop(0) if len(left) > 1 else left[0])


def test_a_lease_that_is_renewed_has_a_leader(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever time it says: clocks differ."""
    leases(program, monkeypatch, {"leaseDurationSeconds": 60}, {"renewTime": "2026-01-01T00:00:02.000000Z"})
    assert program.holds(program.leads, until=0.0)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([{"holderIdentity": ""}], "no replica leads"),
        ([{}], "operator-1 led, and has not been heard for 0.02 s"),
        ([{}, {"holderIdentity": "", "renewTime": "2026-01-01T00:00:02.000000Z"}], "operator-1 led, and has not"),
    ],
    ids=["nobody", "stands still", "handed back"],
)
def test_a_lease_that_nobody_renews_has_none(
    program: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    specs: list[dict[str, Any]],
    said: str,
) -> None:
    leases(program, monkeypatch, *specs)
    assert not program.holds(program.leads, until=0.0)
    assert said in capsys.readouterr().out


def test_the_api_server_is_asked_as_the_pods_account_and_a_refusal_fails(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: str) -> Any:
        assert path.startswith("/apis/workerpool.dev/v1alpha1/namespaces/workerpool-system/workerpools")
        raise PermissionError(json.dumps({"code": 403}))

    monkeypatch.setattr(program, "api", refuse)
    assert not program.holds(program.pools, until=0.0)
