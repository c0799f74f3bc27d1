"""Whatever a healthy pool goes through, nobody in it is called stuck, and one that really is, is found.

Workers take what is there within a second, as many as they have room for; jobs last from a second to minutes; the
broker is away for a while and the workers say so; the collector is away; reports come late and are repeated.
"""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workerpool_operator.domain.stuck import Conduct, Findings, Reading, Waiting, Word, find, heard, read

AFTER = 45.0
SECONDS = 400
REPORT_SECONDS = 10


@dataclass
class Worker:
    slots: int
    stuck: bool = False
    taken: int = 0
    ends: list[int] = field(default_factory=list)
    said: Word | None = None
    said_at: int = -REPORT_SECONDS

    def word(self, *, paused: bool) -> Word:
        return Word(boot_id="x", taken=self.taken, full=len(self.ends) >= self.slots, paused=paused)


class Pool:
    """One second after another."""

    def __init__(self, chance: random.Random, *, stuck: bool = False, phantoms: int = 0) -> None:
        self.chance, self.phantoms = chance, phantoms
        slots = chance.choice((1, 4, 20))
        self.workers = {f"w{n}": Worker(slots) for n in range(chance.randint(2, 6))}
        self.workers["w0"].stuck = stuck
        self.waiting = 0
        self.lasts = chance.choice((1, 5, 120))
        self.load = chance.choice((0.01, 0.7, 1.5, 3.0))
        self.conducts: dict[str, Conduct] = {}
        self.queues: dict[str, Waiting] = {}
        self.outages = [range(at, at + chance.randint(1, 100)) for at in chance.sample(range(SECONDS), 2)]
        self.absences = [range(at, at + chance.randint(1, 40)) for at in chance.sample(range(SECONDS), 2)]

    def second(self, now: int) -> Findings:
        broken = any(now in outage for outage in self.outages)
        rate = self.load * sum(worker.slots for worker in self.workers.values()) / self.lasts
        self.waiting += int(rate) + (self.chance.random() < rate % 1)
        turn = list(self.workers.values())
        self.chance.shuffle(turn)  # a broker serves those that wait in turn
        for worker in turn:
            worker.ends = [end for end in worker.ends if end > now]
            self._report(worker, now, paused=broken)
            while self.waiting and not (broken or worker.stuck) and len(worker.ends) < worker.slots:
                self.waiting -= 1
                worker.taken += 1
                worker.ends.append(now + self.chance.randint(1, self.lasts))
            self._report(worker, now, paused=broken)
        if not any(now in absence for absence in self.absences):
            self._tell(now, broken=broken)
        return find(self.conducts, self.queues, one_queue=True, after=AFTER, now=float(now))

    @staticmethod
    def _report(worker: Worker, now: int, *, paused: bool) -> None:
        word = worker.word(paused=paused)
        if word != worker.said or now - worker.said_at >= REPORT_SECONDS:
            worker.said, worker.said_at = word, now

    def _tell(self, now: int, *, broken: bool) -> None:
        for uid, worker in self.workers.items():
            if worker.said is not None:
                at = worker.said_at + self.chance.random() * 0.2
                self.conducts[uid] = heard(self.conducts.get(uid), worker.said, at=at)
        if not broken:
            reading = Reading(waiting=self.waiting + self.phantoms, arrivals=None, holds_seconds=5.0)
            self.queues["main"] = read(self.queues.get("main"), reading, at=float(now))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(min_value=0, max_value=10**9))
def test_nobody_in_a_healthy_pool_is_called_stuck(seed: int) -> None:
    pool = Pool(random.Random(seed))
    for now in range(SECONDS):
        assert pool.second(now).stuck == frozenset()


@pytest.mark.parametrize("seed", range(15))
def test_jobs_that_are_counted_and_are_not_there_accuse_nobody_while_others_work(seed: int) -> None:
    """With jobs that are short against the limit; else too little is seen of the others, and an idle one may go."""
    pool = Pool(random.Random(seed), phantoms=1)
    pool.lasts = min(pool.lasts, 5)
    for now in range(SECONDS):
        assert not pool.second(now).witnessed


@pytest.mark.parametrize("seed", range(5))
def test_a_stuck_worker_in_a_pool_under_load_is_found_and_nobody_else(seed: int) -> None:
    pool = Pool(random.Random(seed), stuck=True)
    pool.load, pool.lasts, pool.outages, pool.absences = 3.0, 5, [], []
    found = [pool.second(now) for now in range(200)]
    assert {uid for one in found for uid in one.stuck} == {"w0"}
    assert found[-1].witnessed
