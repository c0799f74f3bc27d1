"""Processes are ended by identity: a recycled pid, another boot, a torn record hit nobody."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import processes
from e2e.cluster.processes import Daemon, DaemonDiedError, Record

SLEEP = "/bin/sleep"

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="identities are Linux's")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(name="sleeper", argv=(SLEEP, "60"), home=tmp_path, grace=2)
    yield daemon
    processes.end_recorded(tmp_path)


def running(daemon: Daemon) -> Record:
    record = daemon.record()
    assert record
    return record


def test_a_daemon_is_started_once(daemon: Daemon) -> None:
    assert daemon.ensure()
    first = running(daemon)
    assert not daemon.ensure()
    assert running(daemon) == first


def test_other_arguments_start_it_anew(daemon: Daemon, tmp_path: Path) -> None:
    daemon.ensure()
    first = running(daemon)
    changed = Daemon(name="sleeper", argv=(SLEEP, "61"), home=tmp_path, grace=2)
    assert changed.ensure()
    assert not first.alive()
    assert running(changed).pid != first.pid


def test_stopping_ends_it_and_leaves_no_zombie(daemon: Daemon) -> None:
    daemon.ensure()
    pid = running(daemon).pid
    daemon.stop()
    assert daemon.record() is None
    assert not Path(f"/proc/{pid}").exists()


def test_the_folder_for_temporary_files_is_not_that_of_who_starts_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A test's is gone when the test is over, and the cluster stays: its containers could be started no more."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    daemon.ensure()
    seen = Path(f"/proc/{running(daemon).pid}/environ").read_bytes().split(b"\0")
    assert not [one for one in seen if one.startswith(b"TMPDIR=")]


def test_one_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    stubborn = Daemon(name="stubborn", argv=("/bin/sh", "-c", script), home=tmp_path, grace=0.2)
    stubborn.ensure()
    while "ready" not in stubborn.log.read_text():
        time.sleep(0.01)
    record = running(stubborn)
    stubborn.stop()
    assert not record.alive()


def test_a_recycled_pid_is_never_hit(daemon: Daemon) -> None:
    daemon.ensure()
    real = running(daemon)
    stranger = Record(pid=real.pid, started=real.started - 1, boot=real.boot, argv=())
    assert not stranger.alive()
    assert not stranger.signal(signal.SIGKILL)
    stranger.end(grace=0)
    assert real.alive()


def test_a_record_of_another_boot_means_nobody(daemon: Daemon) -> None:
    daemon.ensure()
    real = running(daemon)
    assert not Record(pid=real.pid, started=real.started, boot="another", argv=()).alive()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_torn_record_means_nobody(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.pid.json"
    path.write_text(content)
    assert Record.read(path) is None
    processes.end_recorded(tmp_path)
    assert not path.exists()


def test_the_end_of_a_daemon_is_told_with_its_last_words(tmp_path: Path) -> None:
    brief = Daemon(name="brief", argv=("/bin/sh", "-c", "echo it broke >&2; exit 1"), home=tmp_path)
    brief.ensure()
    while brief.record():
        time.sleep(0.01)
    with pytest.raises(DaemonDiedError, match="it broke"):
        brief.check()


def test_start_time_is_read_past_a_command_with_blanks_and_brackets(tmp_path: Path) -> None:
    program = tmp_path / "a) R (b"
    program.symlink_to(SLEEP)
    odd = Daemon(name="odd", argv=(str(program), "60"), home=tmp_path)
    odd.ensure()
    record = running(odd)
    odd.stop()
    assert record.started > 0


def test_groups_are_joined_before_the_program_starts(tmp_path: Path) -> None:
    groups = tuple(tmp_path / name for name in ("one", "two"))
    script = f"cat {groups[0]} {groups[1]}; sleep 60"
    daemon = Daemon(name="member", argv=("/bin/sh", "-c", script), home=tmp_path, join=groups)
    daemon.ensure()
    pid = running(daemon).pid
    while len(daemon.log.read_text().split()) < 2:
        time.sleep(0.01)
    daemon.stop()
    assert daemon.log.read_text().split() == [str(pid)] * 2


def test_this_very_process_is_alive() -> None:
    assert Record.of(os.getpid(), argv=()).alive()
