"""What the storm finds in its store, and what it makes of it."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from e2e.faults.storm import __main__ as storm_command
from e2e.faults.storm.driver import Plan, Row, Storm, _until
from e2e.faults.storm.store import Found, Store
from workerpool import Job


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "store.db"))
    yield store
    store.close()


def job(job_id: str) -> Job:
    return Job(id=job_id, type="work", payload={}, attempt=1, queue="main", stream="storm")


async def run(store: Store, job_id: str, worker: str = "w") -> None:
    with store.run(job_id, worker=worker):
        await store.effect(job(job_id))


async def test_a_job_done_twice_is_one_duplicate_and_has_its_effect_once(store: Store) -> None:
    await run(store, "a")
    await run(store, "a")
    await run(store, "b")
    assert store.found() == Found(done=2, duplicates=1, effects_missing=0, effects_doubled=0, skipped=1)


async def test_effects_that_are_missing_or_doubled_are_counted(store: Store, tmp_path: Path) -> None:
    await run(store, "a")
    with store.run("b", worker="w"):
        pass
    other = sqlite3.connect(tmp_path / "store.db")
    with other:
        other.execute("INSERT INTO effects (job) VALUES ('a')")
    other.close()
    assert store.found() == Found(done=2, duplicates=0, effects_missing=1, effects_doubled=1, skipped=0)


def test_a_worker_is_busy_from_the_begin_of_a_run_to_its_end_or_cancellation(store: Store) -> None:
    with store.run("a", worker="w"):
        assert store.busy() == {"w"}
    assert store.busy() == set()
    with pytest.raises(ZeroDivisionError), store.run("a", worker="w"):
        raise ZeroDivisionError
    assert store.busy() == set()
    assert store.done() == 1


async def test_who_waits_for_busy_workers_gets_those_it_saw() -> None:
    """A moment later there may be none."""
    seen = iter([[], ["w"], []])
    assert await _until(lambda: next(seen)) == ["w"]


class SlowToStart:
    """A broker whose restart takes longer than anything may stand still."""

    env: Mapping[str, str] = {}
    restarts = 1

    def __init__(self) -> None:
        self.restarting: Callable[[], object] = lambda: None

    def restart(self) -> None:
        self.restarting()


async def test_a_broker_that_starts_slowly_is_no_stall_and_the_workers_have_their_time_after_it(tmp_path: Path) -> None:
    broker = SlowToStart()
    storm = Storm(name="x", broker=broker, plan=Plan(jobs=0), folder=tmp_path)
    storm._progress_at = -1000.0
    assert storm._is_stalled()
    found: list[bool] = []
    broker.restarting = lambda: found.append(storm._is_stalled())
    await storm._restart()
    assert found == [False]
    assert not storm._is_stalled()
    storm.close()


def test_a_broker_that_does_not_start_leaves_the_others_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_: Path) -> AbstractContextManager[object]:
        raise FileNotFoundError("no such server")

    monkeypatch.setattr(storm_command, "BROKERS", {"first": missing, "second": missing})
    monkeypatch.setattr(storm_command, "end_at_sigterm", lambda: None)
    found = tmp_path / "storm.json"
    assert storm_command.main([f"--json={found}"]) == 1
    said = capsys.readouterr().err
    assert "BROKEN first: FileNotFoundError: no such server" in said
    assert "BROKEN second: FileNotFoundError: no such server" in said
    assert found.read_text() == "[]\n"


def test_a_file_that_cannot_be_written_is_told_before_the_storm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storm_command, "end_at_sigterm", lambda: None)
    with pytest.raises(FileNotFoundError):
        storm_command.main([f"--json={tmp_path / 'nowhere' / 'storm.json'}"])


def test_a_row_says_what_does_not_hold() -> None:
    row = Row(
        broker="redis",
        enqueued=10,
        done=9,
        lost=1,
        duplicates=3,
        effects_wrong=2,
        kills=7,
        kills_hitting_busy=4,
        broker_restarts=1,
    )
    assert row.broken(Plan(kills=5)) == [
        "1 jobs were lost",
        "2 jobs had their effect twice or not at all",
        "4 kills hit a busy worker, not 5",
    ]
