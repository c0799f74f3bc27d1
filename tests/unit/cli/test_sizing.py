"""The arithmetic of `wpool size`, and the steps in which it is told."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from workerpool_operator.cli import sizing
from workerpool_operator.cli.main import app
from workerpool_operator.cli.size.steps import Wanted, answer


def values(wanted: Wanted) -> dict[str, float]:
    return {step.name: step.value for step in answer(wanted).steps}


def test_ten_jobs_a_second_of_half_a_second_keep_five_workers_busy() -> None:
    assert sizing.in_work(rate=10, seconds=0.5) == 5


def test_four_cores_whose_jobs_wait_four_fifths_of_the_time_want_twenty_threads() -> None:
    assert sizing.threads(cores=4, wait=0.2, service=0.05) == 20


def test_jobs_that_compute_nothing_have_no_number_of_threads() -> None:
    with pytest.raises(ValueError, match="what they call decides"):
        sizing.threads(cores=4, wait=0.2, service=0)


@pytest.mark.parametrize(("amount", "number"), [(0.1 * 30, 3), (3.01, 4), (3.0, 3), (0.0, 0)])
def test_floating_point_buys_no_worker(amount: float, number: int) -> None:
    assert sizing.whole(amount) == number


def test_one_slot_waits_as_the_textbook_says() -> None:
    """M/M/1: P(wait > t) = rho * exp(-(1 - rho) * t / W)."""
    share = sizing.late_share(1, rate=0.5, seconds=1, goal=2)
    assert share == pytest.approx(0.5 * math.exp(-0.5 * 2))


def test_two_slots_wait_as_the_textbook_says() -> None:
    """M/M/2 at an offered load of 1: C(2, 1) = 1/3."""
    assert sizing.late_share(2, rate=1, seconds=1, goal=0) == pytest.approx(1 / 3)


@given(rate=st.floats(0.1, 50), seconds=st.floats(0.01, 5), goal=st.floats(0, 10), share=st.floats(0.5, 0.999))
def test_the_slots_for_a_wait_are_enough_and_one_less_is_not(
    rate: float, seconds: float, goal: float, share: float
) -> None:
    slots = sizing.slots_for_wait(rate=rate, seconds=seconds, goal=goal, share=share)
    assert sizing.late_share(slots, rate=rate, seconds=seconds, goal=goal) <= 1 - share
    if slots > 1:
        assert sizing.late_share(slots - 1, rate=rate, seconds=seconds, goal=goal) > 1 - share


def test_slots_that_cannot_keep_up_make_every_job_late() -> None:
    assert sizing.late_share(5, rate=10, seconds=0.5, goal=100) == 1


def test_no_load_waits_for_nothing() -> None:
    assert sizing.late_share(1, rate=0, seconds=1, goal=0) == 0


def test_all_steps_from_a_load_to_pods() -> None:
    found = values(Wanted(rate=100, seconds=0.25, wait=0.2, service=0.05, cores=1, max_wait=0.1))
    assert found["workers"] == 25
    assert found["slots_with_room"] == 31.25
    assert found["threads"] == 5
    assert found["cores"] == pytest.approx(6.25)
    assert found["slots_for_wait"] >= 26
    assert found["pods"] == 7


def test_cores_decide_where_a_pod_has_more_slots_than_it_can_feed() -> None:
    found = answer(Wanted(rate=100, seconds=0.1, wait=0.0, service=0.1, cores=1, slots=50))
    assert found.steps[-1].value == 13
    assert "by their cores" in found.steps[-1].meaning


def test_steps_without_their_input_are_left_out() -> None:
    assert list(values(Wanted(rate=10, seconds=0.5))) == ["workers", "slots_with_room"]
    assert list(values(Wanted(cores=4, wait=0.2, service=0.05))) == ["threads"]


def test_it_explains_both_formulas_with_their_numbers() -> None:
    shown = CliRunner().invoke(app, ["size", "--rate", "10", "--job-seconds", "0.5"])
    assert shown.exit_code == 0
    assert "10 jobs/s x 0.5 s = 5" in shown.stdout
    shown = CliRunner().invoke(app, ["size", "--cores", "4", "--wait", "0.2", "--service", "0.05"])
    assert "200 ms / 50 ms = 4; 1 + 4 = 5; 4 x 5 = 20" in shown.stdout


def test_it_reads_what_profile_wrote_and_writes_json(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text(json.dumps({"wait_seconds": 0.2, "service_seconds": 0.05}))
    command = [
        "size",
        "--rate",
        "8",
        "--profile",
        str(tmp_path / "profile.json"),
        "--json",
        str(tmp_path / "size.json"),
    ]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert json.loads((tmp_path / "size.json").read_text())["values"]["workers"] == 2


@pytest.mark.parametrize("content", ["{}", "[", '{"wait_seconds": "x", "service_seconds": 1}'])
def test_a_file_that_is_no_profile_is_wrong_usage(tmp_path: Path, content: str) -> None:
    (tmp_path / "profile.json").write_text(content)
    shown = CliRunner().invoke(app, ["size", "--rate", "8", "--profile", str(tmp_path / "profile.json")])
    assert shown.exit_code == 2


def test_a_load_that_no_pool_bears_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["size", "--rate", "1e6", "--job-seconds", "1e6"]).exit_code == 2


def test_nothing_to_work_out_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["size", "--rate", "10"]).exit_code == 2
