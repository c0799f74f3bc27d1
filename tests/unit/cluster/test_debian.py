"""apt-get as the cluster calls it, played by a program of that name."""

from pathlib import Path

import pytest

from e2e.cluster import debian
from e2e.cluster.base import ClusterError


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose apt-get says what stands in the file `answers`, a line each time: nothing is success."""
    program = tmp_path / "apt-get"
    program.write_text(
        f'#!/bin/sh\ncd "{tmp_path}"\nread -r said <answers\nsed -i 1d answers\necho "$*" >>calls\n'
        'test -z "$said" || { echo "$said" >&2; exit 100; }\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(debian, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tmp_path


def test_another_apt_is_waited_for(apt: Path) -> None:
    locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
    (apt / "answers").write_text(f"{locked}\n{locked}\n\n\n")
    debian.ensure({"/no/such/program": "thing"})
    assert (apt / "calls").read_text().split("\n")[:4] == ["update --quiet"] * 3 + [
        "install --quiet --yes --no-install-recommends thing"
    ]


def test_another_failure_is_told_at_once(apt: Path) -> None:
    (apt / "answers").write_text("E: Unable to locate package thing\n\n")
    with pytest.raises(ClusterError, match="Unable to locate package"):
        debian.ensure({"/no/such/program": "thing"})
    assert (apt / "calls").read_text() == "update --quiet\n"


def test_a_lock_that_is_never_given_back_is_told(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "_LOCKED_SECONDS", 0.0)
    (apt / "answers").write_text("E: Could not get lock /var/lib/dpkg/lock-frontend\n\n")
    with pytest.raises(ClusterError, match="Could not get lock"):
        debian.ensure({"/no/such/program": "thing"})
