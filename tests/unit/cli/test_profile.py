"""The verdict on a handler from measured runs, and how it is told."""

import asyncio
import contextlib
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workerpool import Batch, ConfigurationError, Job, Worker
from workerpool.runtime.lanes import Handler, Kind
from workerpool_operator.cli.main import app
from workerpool_operator.cli.profile.classify import Bound, Nature, Sample, bound_of, classify
from workerpool_operator.cli.profile.meter import Reading, difference
from workerpool_operator.cli.profile.report import Profile, slo_sheet
from workerpool_operator.cli.profile.run import Measured, Order
from workerpool_operator.cli.programs import Program, load, parse_payload


def sample(
    *, wait: float, cpu: float, starved: float | None = 0.0, held: float | None = None, error: str = ""
) -> Sample:
    """A run that waited and computed for so long, and was starved as long as it was."""
    wall = wait + cpu + (starved or 0.0)
    return Sample(wall=wall, cpu=cpu, starved=starved, iowait=0.0, sent=10, received=20, held=held, error=error)


def nature(*samples: Sample, is_async: bool = True) -> Nature:
    return classify(samples, is_async=is_async)


@pytest.mark.parametrize(
    ("share", "bound"),
    [(0.0, Bound.IO), (0.2, Bound.IO), (0.25, Bound.MIXED), (0.5, Bound.MIXED), (0.75, Bound.MIXED), (0.9, Bound.CPU)],
)
def test_the_share_of_computing_decides(share: float, bound: Bound) -> None:
    assert bound_of(share) is bound


def test_being_starved_is_not_waiting() -> None:
    """A CPU-bound job on a busy machine takes four times as long, and stays CPU-bound."""
    assert nature(sample(wait=0.001, cpu=0.1, starved=0.3)).bound is Bound.CPU


def test_one_slow_answer_does_not_change_the_verdict() -> None:
    runs = [sample(wait=0.01, cpu=0.1)] * 4 + [sample(wait=5.0, cpu=0.1)]
    assert nature(*runs).bound is Bound.CPU
    assert nature(*runs).wait == pytest.approx(0.01)


def test_without_the_kernels_word_all_that_is_not_computing_is_waiting() -> None:
    assert nature(sample(wait=0.2, cpu=0.05, starved=None)).wait == pytest.approx(0.2)


def test_more_computing_than_time_means_many_threads_and_no_waiting() -> None:
    parallel = Sample(wall=0.1, cpu=0.3, starved=0.0, iowait=None, sent=0, received=0, held=None)
    assert (parallel.wait, parallel.share) == (0, 1)


def test_a_job_that_takes_no_time_is_not_divided_by() -> None:
    assert nature(sample(wait=0, cpu=0)).kind is Kind.IO


KINDS = {
    "waits in the event loop": (sample(wait=0.2, cpu=0.01, held=0.005), True, Kind.IO, False),
    "waits and blocks": (sample(wait=0.2, cpu=0.001, held=0.2), True, Kind.THREAD, True),
    "blocks briefly, but all of its time": (sample(wait=0.03, cpu=0.001, held=0.03), True, Kind.THREAD, True),
    "waits in a plain function": (sample(wait=0.2, cpu=0.01), False, Kind.THREAD, None),
    "computes": (sample(wait=0.001, cpu=0.2, held=0.2), True, Kind.CPU, True),
    "computes a little": (sample(wait=0.0, cpu=0.001, held=0.001), True, Kind.IO, False),
    "computes a little in a plain function": (sample(wait=0.0, cpu=0.001), False, Kind.THREAD, None),
    "does both in short turns": (sample(wait=0.05, cpu=0.05, held=0.004), True, Kind.IO, False),
    "does both in long turns": (sample(wait=0.2, cpu=0.2, held=0.2), True, Kind.CPU, True),
    "does both in a plain function": (sample(wait=0.2, cpu=0.2), False, Kind.CPU, None),
}


@pytest.mark.parametrize(("run", "is_async", "kind", "blocks"), KINDS.values(), ids=KINDS.keys())
def test_the_kind_to_use(run: Sample, *, is_async: bool, kind: Kind, blocks: bool | None) -> None:
    found = nature(run, is_async=is_async)
    assert (found.kind, found.blocks) == (kind, blocks)


def reading(*, wall: float, cpu: float, starved: float | None, machine: tuple[int, ...]) -> Reading:
    return Reading(wall=wall, cpu=cpu, starved=starved, machine=machine, sent=0, received=0)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda _: 100)


@pytest.mark.usefixtures("ticks")
def test_what_the_hypervisor_took_from_a_job_is_starving_too() -> None:
    """Columns: user nice system idle iowait irq softirq steal. The job did half of the machine's work."""
    before = reading(wall=0, cpu=0, starved=0, machine=(0, 0, 0, 0, 0, 0, 0, 0))
    after = reading(wall=2, cpu=1, starved=0.2, machine=(200, 0, 0, 40, 60, 0, 0, 100))
    taken = difference(before, after)
    assert taken["starved"] == pytest.approx(0.2 + 0.5)
    assert taken["iowait"] == pytest.approx(60 / 400)


def test_a_machine_that_tells_nothing_gives_nothing() -> None:
    nothing = reading(wall=0, cpu=0, starved=None, machine=())
    assert difference(nothing, nothing) | {"starved": None, "iowait": None} == difference(nothing, nothing)


@pytest.fixture
def profile() -> Profile:
    runs = [sample(wait=0.2, cpu=0.05, held=0.01)] * 5 + [sample(wait=0, cpu=0, error="ValueError: no")]
    measured = Measured(order=Order(program="app:worker", type="resize", payload={}), samples=runs, is_async=True)
    return Profile.of(measured, cores=4, rate=10)


def test_it_suggests_workers_and_threads(profile: Profile) -> None:
    assert profile.workers == pytest.approx(2.5)
    assert profile.threads == pytest.approx(20)


def test_failed_runs_are_counted_and_left_out(profile: Profile) -> None:
    figures = profile.to_json()
    assert (figures["runs"], figures["failed"], figures["wait_seconds"]) == (6, 1, 0.2)
    assert figures["samples"][-1]["error"] == "ValueError: no"


def test_the_csv_has_a_row_for_each_run(profile: Profile) -> None:
    rows = list(csv.DictReader(io.StringIO(profile.to_csv())))
    assert len(rows) == 6
    assert {"run", "wall_s", "wait_s", "service_s", "starved_s", "held_s", "iowait_share"} <= set(rows[0])
    assert float(rows[0]["service_s"]) == 0.05


def test_the_sheet_has_objectives_and_the_classification(profile: Profile) -> None:
    sheet = slo_sheet(profile, availability=0.999)
    for part in ("10 jobs/s", "99.9 % of jobs", "at most 500 ms", "I/O-bound", "| 20 |", "0.5 s"):
        assert part in sheet


def test_json_is_what_size_reads(profile: Profile, tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(profile.to_json()))
    shown = CliRunner().invoke(app, ["size", "--profile", str(file), "--cores", "4"])
    assert "4 x 5 = 20" in shown.stdout


@pytest.mark.parametrize(
    ("program", "job", "says"),
    [
        ("nowhere", "x", "write package.module:name"),
        ("nowhere.at.all:worker", "x", "cannot be imported"),
        ("workerpool_operator.cli.samples:http", "x", "is no worker"),
        ("workerpool_operator.cli.samples:worker", "x", "it has: compute, http, http-plain, mixed"),
    ],
)
def test_a_program_that_cannot_be_had_is_said(program: str, job: str, says: str, own_run: None) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load(program, job_type=job, payload={})


@pytest.fixture
def own_run() -> Iterator[None]:
    """`load` disarms `Worker.run` for its process; this process goes on with other tests."""
    run = Worker.run
    yield
    Worker.run = run  # type: ignore[method-assign]


async def test_a_job_on_trial_keeps_nothing_and_is_not_stopped(own_run: None) -> None:
    job = load("workerpool_operator.cli.samples:worker", job_type="mixed", payload={}).job(1)
    await job.checkpoint({"page": 3})
    job.checkpoint_sync({"page": 4})
    assert not job.cancelled
    await asyncio.sleep(0)


def test_a_handler_of_batches_is_given_one_whose_job_fails_as_if_it_raised() -> None:
    async def index(jobs: list[Job]) -> None:
        jobs[0].fail("no")

    handler = Handler(index, None, Kind.IO, batch=Batch())
    given = Program(type="index", handler=handler, payload={}, lifespan=contextlib.nullcontext).given(1)
    assert isinstance(given, list)
    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(index(given))


def test_a_payload_that_is_not_json_is_wrong_usage() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse_payload("{")
    assert CliRunner().invoke(app, ["profile", "app:worker", "x", "--payload", "{"]).exit_code == 2
    assert CliRunner().invoke(app, ["profile", "app:worker"]).exit_code == 2
