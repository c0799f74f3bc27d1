"""What was seen, held against what was expected."""

from dataclasses import replace
from typing import Any

import pytest

from workerpool_operator.cli.chaos.judge import KEYS, Sight, Story, Tally, judge, recovered
from workerpool_operator.cli.chaos.table import SCENARIOS

KILLED = SCENARIOS["worker-killed"]
CUT = SCENARIOS["broker-partitioned"]
WELL = Tally(enqueued=100, lost=0, duplicated=1, interrupted=2)
BOTH = {"a": 0, "b": 0}


def sight(at: float, *, done: float | None, workers: dict[str, int] | None = None, **other: Any) -> Sight:
    fields: dict[str, Any] = {"ready": True, "reachable": True, **other}
    return Sight(at, desired=2, workers=BOTH if workers is None else workers, done=done, **fields)


def killed(*, back: float = 6.0) -> Story:
    """Worker a dies at 10, and is back at 16 or so; jobs go on."""
    story = Story(struck_at=10.0, victims=frozenset("a"), did="killed a", took=True, tally=WELL)
    for second in range(5, 30):
        gone = 10 < second < 10 + back
        workers = {"b": 0} if gone else {"a": int(second > 10), "b": 0}
        story.sights.append(sight(second, done=second, workers=workers, healed=not gone))
    story.mended_at = 29.0
    return story


def cut(*, stops: bool = True) -> Story:
    """The broker is away from 10 to 40."""
    story = Story(struck_at=10.0, mended_at=40.0, did="cut", tally=WELL)
    for second in range(5, 50):
        away = 10 < second <= 42
        done = 12.0 if away and stops else float(second)
        story.sights.append(sight(second, done=done, reachable=not away))
    return story


def test_a_recovery_counts_from_the_stroke_where_it_heals_by_itself() -> None:
    assert recovered(killed(), KILLED) == 6.0
    row = judge(killed(), KILLED)
    assert row.ok
    assert (row.recovered_seconds, row.jobs_lost) == (6.0, 0)
    assert row.observed.startswith("killed a; jobs go on; no other worker is restarted; recovered 6 s after the stroke")
    assert tuple(row.to_json()) == KEYS


def test_a_recovery_counts_from_the_end_of_a_fault_that_is_put_back() -> None:
    row = judge(cut(), CUT)
    assert (row.ok, row.recovered_seconds) == (True, 3.0)
    assert "jobs wait" in row.observed
    assert "NOT" not in row.observed


def test_what_recovers_and_falls_back_had_not_recovered() -> None:
    """It counts from when it stays so."""
    story = killed()
    story.sights[-8] = replace(story.sights[-8], ready=False)
    assert recovered(story, KILLED) == story.sights[-7].at - 10.0


def test_what_did_not_stay_so_for_a_while_is_not_known_to_have_recovered() -> None:
    story = killed()
    story.sights = [one for one in story.sights if one.at <= 17]
    assert recovered(story, KILLED) is None
    row = judge(story, KILLED)
    assert not row.ok
    assert "NOT recovered 90 s later" in row.observed


def test_a_pool_that_looks_well_and_does_no_job_has_not_recovered() -> None:
    story = killed()
    story.sights = [replace(one, done=min(one.done or 0, 9.0)) for one in story.sights]
    assert recovered(story, KILLED) is None


def test_nobody_there_to_look_is_no_recovery() -> None:
    story = killed()
    story.sights[-1] = Sight(story.sights[-1].at, trouble="refused")
    assert recovered(story, KILLED) is None


def test_a_late_recovery_is_told() -> None:
    row = judge(killed(back=12.0), replace(KILLED, recovers_within=5))
    assert not row.ok
    assert "recovered 12 s after the stroke, LATER than 5 s" in row.observed


def test_a_fault_that_did_not_stop_what_it_should_stop_did_not_strike() -> None:
    """As where nobody enforces a NetworkPolicy."""
    row = judge(cut(stops=False), CUT)
    assert not row.ok
    assert "NOT so: jobs wait" in row.observed


def test_a_fault_that_took_no_effect_proves_nothing() -> None:
    story = cut()
    story.took = False
    row = judge(story, CUT)
    assert not row.ok
    assert "NOT so: it took effect" in row.observed


@pytest.mark.parametrize("lost", [1, 7])
def test_a_lost_job_is_never_as_expected(lost: int) -> None:
    story = killed()
    story.tally = replace(WELL, lost=lost)
    row = judge(story, KILLED)
    assert (row.ok, row.jobs_lost) == (False, lost)


def test_jobs_that_nobody_counted_are_not_called_safe() -> None:
    """Nor does it fail for that: it is said."""
    story = killed()
    story.tally = None
    story.sights = [replace(one, done=None) for one in story.sights]
    row = judge(story, KILLED)
    assert (row.ok, row.jobs_lost) == (True, None)
    assert "jobs not counted" in row.observed
    assert "not known: jobs go on" in row.observed


def test_another_worker_that_is_restarted_is_told() -> None:
    story = killed()
    story.sights[10] = replace(story.sights[10], workers={"b": 1})
    row = judge(story, KILLED)
    assert not row.ok
    assert "NOT so: no other worker is restarted" in row.observed


def test_another_worker_that_is_replaced_is_told_and_one_that_the_pool_gave_up_is_not() -> None:
    """A smaller pool ends workers as it should."""
    story = killed()
    for number in range(15, len(story.sights)):
        story.sights[number] = replace(story.sights[number], workers={"a": 1, "c": 0})
    assert "NOT so: no other worker" in judge(story, KILLED).observed
    for number in range(15, len(story.sights)):
        story.sights[number] = replace(story.sights[number], workers={"a": 1}, desired=1)
    assert "NOT so: no other worker" not in judge(story, KILLED).observed
