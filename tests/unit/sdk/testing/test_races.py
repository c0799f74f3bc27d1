"""The races of workers/examples/races: each fails by its seed before it is mended, and by no seed after."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from workerpool import Worker
from workerpool.testing import Failure, Simulation, search, simulate
from workers.examples.races import charges, stock

Scenario = Callable[[Simulation], Awaitable[None]]
SEEDS = range(200)
POINTS = ("taken", "handled", "settled")


def deliveries(make: Callable[[stock.Shelf], Worker], *, workers: int = 1, key: str = "") -> Scenario:
    async def scenario(simulation: Simulation) -> None:
        shelf = stock.Shelf()
        for _ in range(workers):
            simulation.start(make(shelf), env={"MAX_WORKERS": str(2 // workers)})
        for _ in range(2):
            await simulation.queue.enqueue("delivery", {"article": "lamp"}, ordering_key=key)
        await simulation.finished()
        count = await shelf.read("lamp")
        assert count == 2

    return scenario


def charge(make: Callable[[sqlite3.Connection], Worker]) -> Scenario:
    async def scenario(simulation: Simulation) -> None:
        with closing(charges.open_books()) as books:
            simulation.start(make(books), env={"LEASE_SECONDS": "5"})
            simulation.crash_at(simulation.random.choice(POINTS))
            await simulation.queue.enqueue("charge", {"customer": "ada", "cents": 250}, job_id="order-7")
            await simulation.finished()
            cents = charges.charged(books, "ada")
            assert cents == 250

    return scenario


@pytest.mark.parametrize(
    "scenario", [deliveries(stock.racing), deliveries(stock.racing, workers=2), charge(charges.twice)]
)
def test_a_race_is_found_and_its_seed_repeats_it(scenario: Scenario) -> None:
    found = search(scenario, seeds=SEEDS)
    assert isinstance(found, Failure)
    for _ in range(3):
        with pytest.raises(AssertionError) as failed:
            simulate(scenario, seed=found.seed)
        assert str(failed.value) == str(found.error)
        assert f"seed={found.seed}" in failed.value.__notes__[0]


@pytest.mark.parametrize(
    "scenario",
    [deliveries(stock.locked), deliveries(stock.racing, workers=2, key="lamp"), charge(charges.once)],
    ids=["lock", "ordering key", "once"],
)
def test_no_seed_finds_it_once_it_is_mended(scenario: Scenario) -> None:
    assert search(scenario, seeds=SEEDS) is None


def test_a_lock_of_one_worker_does_not_help_two() -> None:
    assert search(deliveries(stock.locked, workers=2), seeds=SEEDS) is not None
