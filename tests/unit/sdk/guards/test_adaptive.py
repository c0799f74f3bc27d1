"""The limit that a lane finds for itself, against a downstream that has places for so many jobs at a time."""

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean

import pytest

from workerpool.guards.adaptive import MEASURE_SECONDS, AdaptiveLimit, _LongTerm
from workerpool.runtime.verdict import Verdict

MOST = 100


@dataclass
class Play:
    """A queue that never ends, workers, and a downstream that serves who comes first: all by virtual time.

    `places`: jobs that the downstream serves at a time, by the time. `service`: seconds it takes for one.
    """

    places: Callable[[float], int]
    service: Callable[[random.Random, str], float]
    start: int = 8
    workers: int = 1
    types: tuple[str, ...] = ("a",)
    load: int = 10**9
    """Jobs at a time that each worker has to do at all."""
    verdict: Callable[[float], Verdict] = lambda now: Verdict.DONE
    now: float = 0.0
    done: Counter[int] = field(default_factory=Counter)
    """By second."""
    found: dict[int, list[int]] = field(default_factory=dict)
    """Limits by second."""

    def __post_init__(self) -> None:
        epoch = 0.5 * MEASURE_SECONDS
        self.limits = [AdaptiveLimit(start=self.start, most=MOST, now=0.0, epoch=epoch) for _ in range(self.workers)]
        self._busy = [0] * self.workers
        self._queued: deque[tuple[int, str, float]] = deque()
        self._serving: list[tuple[float, int, int, str, float]] = []
        self._serial = itertools.count()
        self._random = random.Random(3)

    def until(self, moment: float) -> "Play":
        self._fill()
        while self._serving and self._serving[0][0] < moment:
            self.now, _, worker, type_, began = heapq.heappop(self._serving)
            took = self.now - began
            self.limits[worker].ended(type_, took, self.verdict(self.now), busy=self._busy[worker], now=self.now)
            self._busy[worker] -= 1
            self.done[int(self.now)] += 1
            self.found[int(self.now)] = [one.settled for one in self.limits]
            self._fill()
        self.now = moment
        return self

    def _fill(self) -> None:
        for worker, limit in enumerate(self.limits):
            while self._busy[worker] < min(limit.limit, self.load):
                self._busy[worker] += 1
                self._queued.append((worker, self._random.choice(self.types), self.now))
        while self._queued and len(self._serving) < self.places(self.now):
            worker, type_, began = self._queued.popleft()
            over = self.now + self.service(self._random, type_)
            heapq.heappush(self._serving, (over, next(self._serial), worker, type_, began))

    def rate(self, since: int, to: int) -> float:
        return sum(self.done[second] for second in range(since, to)) / (to - since)

    def limit(self, since: int, to: int) -> float:
        """Of all workers together, on the average."""
        return mean(sum(self.found[second]) for second in range(since, to) if second in self.found)


def exponential(seconds: float) -> Callable[[random.Random, str], float]:
    return lambda chance, _: chance.expovariate(1 / seconds)


def halved_at(moment: float, places: int) -> Callable[[float], int]:
    return lambda now: places if now < moment else places // 2


@pytest.mark.parametrize(("places", "seconds", "workers"), [(6, 0.2, 1), (40, 0.5, 1), (40, 0.5, 4)])
def test_it_gets_nine_tenths_of_what_the_best_limit_would_and_follows_a_cut_to_half(
    places: int, seconds: float, workers: int
) -> None:
    """The best fixed limit keeps all places busy: places / seconds jobs per second."""
    play = Play(halved_at(130, places), exponential(seconds), workers=workers).until(190)
    best = places / seconds
    assert play.rate(60, 130) >= 0.9 * best
    assert play.limit(60, 130) <= 3 * places
    assert play.rate(160, 190) >= 0.9 * best / 2
    assert play.limit(160, 190) <= min(4 * places / 2, 0.85 * play.limit(60, 130))


def test_it_grows_again_when_the_downstream_does() -> None:
    play = Play(lambda now: 10 if now < 80 else 40, exponential(0.2)).until(150)
    assert play.limit(60, 80) < 25
    assert play.rate(110, 150) >= 0.9 * 200


def test_hours_of_backlog_do_not_make_overload_the_normal_state() -> None:
    """What Gradient2's own long-term average would come to."""
    play = Play(lambda now: 10, exponential(2.0)).until(2 * 3600)
    assert play.limit(3600, 2 * 3600) <= 3 * 10


def test_measurements_correct_what_was_learned_under_overload() -> None:
    """It took jobs to be ten times as slow as they are."""
    play = Play(lambda now: 10, exponential(0.5), start=40)
    play.limits[0]._long["a"] = _LongTerm(5.0, 10)
    play.until(700)
    assert max(one for [one] in play.found.values()) == MOST
    assert play.limit(600, 700) < 40


def test_measurements_cost_a_few_hundredths() -> None:
    play = Play(lambda now: 10**6, lambda chance, type_: 1.0).until(480)
    assert play.limit(120, 480) == MOST
    assert 0.94 * MOST <= play.rate(120, 480) < MOST


def test_a_downstream_that_becomes_slower_by_itself_is_not_taken_for_overload_for_long() -> None:
    seconds = [0.2]
    play = Play(lambda now: 20, lambda chance, _: chance.expovariate(1 / seconds[0])).until(100)
    seconds[0] = 0.8
    play.until(250)
    assert play.rate(140, 250) >= 0.85 * 20 / 0.8


def test_another_mix_of_types_is_no_overload() -> None:
    """The slow ones take 20 times as long as the others."""

    def service(chance: random.Random, type_: str) -> float:
        return chance.expovariate(1 / (0.1 if type_ == "fast" else 2.0))

    play = Play(lambda now: 10**6, service, types=("fast", "fast", "slow"))
    play.until(70)
    play.types = ("slow",)
    play.until(110)
    assert play.limit(50, 70) == play.limit(71, 110) == MOST


def test_without_load_it_does_not_grow() -> None:
    play = Play(lambda now: 10**6, exponential(0.1), load=7).until(120)
    assert play.limit(60, 120) <= 8


def test_jobs_that_fail_fast_lower_it() -> None:
    play = Play(
        lambda now: 10**6, exponential(0.2), verdict=lambda now: Verdict.FAILED if now > 40 else Verdict.DONE
    ).until(60)
    assert play.limit(35, 40) == MOST
    assert play.limit(55, 60) <= 2


def test_jobs_that_time_out_lower_it() -> None:
    play = Play(
        lambda now: 10**6, lambda chance, _: 1.0, verdict=lambda now: Verdict.SLOW if now > 80 else Verdict.DONE
    )
    play.until(110)
    assert play.limit(70, 80) == MOST
    assert play.limit(105, 110) <= 4


def test_some_bad_input_does_not_lower_it() -> None:
    chance = random.Random(5)
    play = Play(
        lambda now: 10**6,
        exponential(0.5),
        verdict=lambda now: chance.choices([Verdict.FAILED, Verdict.NONE, Verdict.DONE], [3, 20, 77])[0],
    ).until(90)
    assert play.limit(60, 90) == MOST


def test_a_single_slow_job_moves_nothing() -> None:
    play = Play(lambda now: 10**6, lambda chance, _: 0.5).until(50)
    before = play.limits[0].settled
    play.limits[0].ended("a", 1000.0, Verdict.DONE, busy=before, now=play.now)
    play.until(55)
    assert play.limits[0].settled >= before > 8


def test_it_stays_between_one_and_most() -> None:
    limit = AdaptiveLimit(start=8, most=4, now=0.0)
    assert (limit.limit, limit.settled) == (4, 4)
    for number in range(1000):
        limit.ended("a", 0.01, Verdict.FAILED, busy=limit.limit, now=number / 10)
    assert limit.settled == 1
    for number in range(1000, 5000):
        limit.ended("a", 0.01, Verdict.DONE, busy=limit.limit, now=number / 10)
    assert limit.settled == 4
    limit.bound(2)
    assert limit.settled == 2
    for number in range(5000, 6000):
        limit.ended("a", 0.01, Verdict.DONE, busy=limit.limit, now=number / 10)
    assert limit.settled == 2


def test_workers_measure_at_the_same_moment() -> None:
    """Those whose jobs take long measure more seldom, at moments when the others do, too."""

    def moments(seconds: float, start: float) -> list[int]:
        limit, now, found = AdaptiveLimit(start=8, most=8, now=start, epoch=1000.0), start, []
        while now < 1200:
            now += seconds / 8
            before = limit.measuring
            limit.ended("a", seconds, Verdict.DONE, busy=8, now=now)
            if limit.measuring > before:
                found.append(round((now + 1000.0) / MEASURE_SECONDS))
        return found

    fast, slow = moments(0.1, 0.0), moments(3.0, 17.3)
    assert fast == list(range(fast[0], fast[-1] + 1))
    assert 1 < len(slow) < len(fast) / 4
    assert set(slow) <= set(fast)


def test_a_measurement_that_no_job_comes_for_is_given_up() -> None:
    limit = AdaptiveLimit(start=9, most=9, now=0.0)
    now = 0.0
    while not limit.measuring:
        now += 0.01
        limit.ended("a", 0.1, Verdict.DONE, busy=9, now=now)
    assert (limit.limit, limit.settled) == (3, 9)
    limit.tick(now + 5)
    assert limit.measuring
    limit.tick(now + 20)
    assert limit.limit == limit.settled == 9
