"""Commands and the page, run in a test's own process, wait longer for the API server than they do for people."""

import pytest

from tests.support.apiserver import PATIENCE_SECONDS
from workerpool_operator.cli import older, standing
from workerpool_operator.cli.get import figures
from workerpool_operator.kube import Kube


def be_patient(monkeypatch: pytest.MonkeyPatch, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Until the test's end: a machine that stands still for some seconds is no cluster that does not answer."""
    defaults = {**(Kube.__init__.__kwdefaults__ or {}), "timeout_seconds": seconds}
    monkeypatch.setattr(Kube.__init__, "__kwdefaults__", defaults)
    for module in (standing, older, figures):
        monkeypatch.setattr(module, "_SECONDS", seconds)
