"""Figures over time, and where their lines go."""

import math

import pytest

from workerpool_operator.ui.chart import HEIGHT, WIDTH, chart, interval, nice
from workerpool_operator.ui.figures import Figures, read
from workerpool_operator.ui.series import WINDOW_SECONDS, Moment, Series


def test_the_newest_figure_is_at_the_right_edge() -> None:
    """The largest one below the upper edge, 0 at the lower one."""
    drawn = chart([(100.0, 0.0), (100.0 + WINDOW_SECONDS / 2, 4.0)], now=100.0 + WINDOW_SECONDS / 2)
    assert drawn.lines == [f"M{WIDTH / 2} {HEIGHT:.1f} L{WIDTH:.1f} {HEIGHT * 0.2:.1f}"]
    assert (drawn.top, drawn.lowest, drawn.highest, drawn.last) == (5, 0, 4, 4)
    assert drawn.area.endswith(f"{HEIGHT} Z")


def test_what_is_not_known_is_a_gap() -> None:
    """And no figure at all is an empty chart."""
    drawn = chart([(0, 1), (2, 1), (4, None), (6, 1), (8, None)], now=8)
    assert drawn.lines[0].count("M") == 2
    assert drawn.last is None
    assert chart([(0, None)], now=1).lines == [""]
    assert chart([], now=1).last is None


def test_two_lines_share_a_scale() -> None:
    """Ready workers against those that are wanted."""
    assert chart([(0, 1)], [(0, 40)], now=0).top == 50


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 1), (0.3, 1), (1.5, 2), (10, 10), (2.1, 2.5), (999, 1000), (3000, 5000)]
)
def test_the_upper_edge_is_a_round_figure(largest: float, top: float) -> None:
    """Not below the largest one."""
    assert nice(largest) == top


def test_old_moments_go() -> None:
    """A page that stays open for days keeps a quarter of an hour."""
    series = Series()
    for at in range(0, 5000, 10):
        series.add(Moment(at=at, depth=at))
    assert series.points("depth")[0] == (4990 - WINDOW_SECONDS, 4990 - WINDOW_SECONDS)
    assert series.last == Moment(at=4990, depth=4990)
    assert Series().last is None


def test_an_interval_has_its_place_between_the_bounds() -> None:
    """On a logarithmic scale: half and double are as far from 1."""
    found = interval(low="0.5", high="2", ratio="1", tolerate="1.25", reject="3")
    assert found is not None
    assert math.isclose(found.same - found.low, found.high - found.same, abs_tol=0.11)
    assert found.ratio == found.same < found.tolerate < found.reject
    far = interval(low="0", high="inf", ratio="40", tolerate="1.25", reject="3")
    assert far is not None
    assert (far.low, far.ratio, far.high) == (0, 100, 100)


@pytest.mark.parametrize("word", ["", "many", "nan"])
def test_no_interval_without_figures(word: str) -> None:
    """A status of another release is not understood, and nothing worse."""
    assert interval(low=word, high="2", ratio="1", tolerate="1.25", reject="3") is None


def state(**worker: object) -> dict[str, object]:
    usual = {"pod": "w-1", "boot_id": "a", "in_flight": 2, "counters": {"processed": 100, "failed": 5}}
    queue = {"queue": "main", "waiting": 7, "oldest_age_seconds": 1.5}
    return {"pools": {"thumbs": {"queues": [queue], "workers": [usual | worker]}}}


def test_what_a_collector_says_is_read() -> None:
    """Of one pool."""
    told = read(state(), "thumbs", at=10.0)
    assert told == Figures(at=10.0, waiting=7, oldest_seconds=1.5, in_flight={"w-1": 2}, ended={("w-1", "a"): 105})
    assert read(state(), "mails", at=1.0) is None


@pytest.mark.parametrize(
    "answer",
    [None, [], "x", {}, {"pools": []}, {"pools": {"thumbs": 3}}, {"pools": {"thumbs": {"queues": 1, "workers": [4]}}}],
)
def test_an_answer_of_something_else_says_nothing(answer: object) -> None:
    """A proxy's, or one of another release."""
    told = read(answer, "thumbs", at=1.0)
    assert told is None or (told.waiting is None and not told.in_flight)


def test_throughput_is_between_two_readings_of_the_same_process() -> None:
    """A worker that began anew counts from then on; a first reading says nothing."""
    first, later = read(state(), "thumbs", at=10.0), read(state(counters={"processed": 120}), "thumbs", at=20.0)
    assert first is not None
    assert later is not None
    assert first.per_second(None) is None
    assert later.per_second(first) == 1.5
    assert later.by_pod(first) == {"w-1": 1.5}
    reborn = read(state(boot_id="b", counters={"processed": 1}), "thumbs", at=20.0)
    assert reborn is not None
    assert reborn.per_second(first) is None


def test_a_pool_without_workers_does_nothing() -> None:
    """That is a figure: 0."""
    empty = {"pools": {"thumbs": {"queues": [{"waiting": 0}], "workers": []}}}
    first, later = read(empty, "thumbs", at=1.0), read(empty, "thumbs", at=3.0)
    assert first is not None
    assert later is not None
    assert later.per_second(first) == 0
    assert later.oldest_seconds == 0


def test_a_young_history_fills_its_chart() -> None:
    """In steps, so that the chart does not creep."""
    series = Series()
    assert series.span(now=0) == 60
    series.add(Moment(at=0))
    assert [series.span(now=now) for now in (10, 61, 300, 500, 5000)] == [60, 180, 420, 900, 900]
