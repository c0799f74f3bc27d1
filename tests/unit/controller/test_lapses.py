"""A reading that lapses or comes back makes a plan, once; one that is renewed in time makes none."""

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.lapses import Lapses
from workerpool_operator.serve.values import ValueBoard

WEB, API = PoolKey("media", "web"), PoolKey("media", "api")


class Bench:
    """Two pools on a board whose clock stands until it is moved. This replica need not lead."""

    def __init__(self) -> None:
        self.now, self.due = 100.0, list[PoolKey]()
        self.board = ValueBoard(clock=lambda: self.now)
        self.lapses = Lapses(self.board, due=self.due.append)

    def read(self, *pools: PoolKey, queue: str = "main") -> None:
        for pool in pools:
            self.board.read(pool.namespace, pool.name, queue, age=0.0, stale_after=5.0)

    def look(self) -> list[PoolKey]:
        """The pools that are due after another look."""
        self.due.clear()
        self.lapses.look()
        return list(self.due)


def test_a_lapse_is_told_once() -> None:
    """And a reading that came in time is none."""
    bench = Bench()
    bench.read(WEB, API)
    assert sorted(map(str, bench.look())) == ["media/api", "media/web"]
    assert bench.look() == []
    bench.now += 4
    bench.read(API)
    bench.now += 2
    assert bench.look() == [WEB]
    assert bench.look() == []


def test_a_reading_that_comes_back_is_told_although_it_says_the_same() -> None:
    """Nothing else would: the stream tells only of what has changed."""
    bench = Bench()
    for _ in range(2):
        bench.read(WEB)
        assert bench.look() == [WEB]
        bench.now += 6
        assert bench.look() == [WEB]


def test_one_queue_of_several_that_lapses_is_told() -> None:
    """The pool may not shrink any more, though it knows of the others."""
    bench = Bench()
    bench.read(WEB)
    bench.read(WEB, queue="other")
    assert bench.look() == [WEB]
    bench.now += 4
    bench.read(WEB)
    bench.now += 2
    assert bench.look() == [WEB]
    assert bench.look() == []
