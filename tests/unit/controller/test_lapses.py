"""A number that lapses or comes back makes a plan, once; one that is renewed, or gone with its pool, makes none."""

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.lapses import Lapses
from workerpool_operator.serve.values import ValueBoard

WEB, API = PoolKey("media", "web"), PoolKey("media", "api")


class Bench:
    """Two pools on a board whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.now, self.pools, self.due = 100.0, {WEB, API}, list[PoolKey]()
        self.board = ValueBoard(clock=lambda: self.now)
        self.board.begin()
        self.lapses = Lapses(self.board, pools=lambda: self.pools, due=self.due.append)

    def read(self, *pools: PoolKey) -> None:
        for pool in pools:
            self.board.read(pool.namespace, pool.name, "main", age=0.0, stale_after=5.0)
            self.board.publish(pool.namespace, pool.name, 3, queues=["main"])

    def look(self) -> list[PoolKey]:
        """The pools that are due after another look."""
        self.due.clear()
        self.lapses.look()
        return list(self.due)


def test_a_lapse_is_told_once() -> None:
    bench = Bench()
    bench.read(WEB, API)
    assert sorted(map(str, bench.look())) == ["media/api", "media/web"]
    assert bench.look() == []
    bench.now += 4
    bench.read(API)
    bench.now += 2
    assert bench.look() == [WEB]
    assert bench.look() == []


def test_a_number_that_comes_back_is_told_although_it_is_the_same() -> None:
    bench = Bench()
    for _ in range(2):
        bench.read(WEB)
        assert bench.look() == [WEB]
        bench.now += 6
        assert bench.look() == [WEB]


def test_a_pool_that_is_gone_or_in_another_mode_is_not_told_of() -> None:
    bench = Bench()
    bench.read(WEB)
    bench.look()
    bench.pools.discard(WEB)
    bench.now += 6
    assert bench.look() == []
