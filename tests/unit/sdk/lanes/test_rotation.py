"""The pace at which jobs of a full lane go round."""

import asyncio

from workerpool.runtime.rotation import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Rotation


def test_without_refused_jobs_there_is_no_pause() -> None:
    rotation = Rotation()
    assert rotation.took(accepted=5, refused=[]) == 0
    assert rotation.took(accepted=0, refused=[]) == 0


def test_each_refused_job_costs_a_pause() -> None:
    rotation = Rotation()
    assert rotation.took(accepted=1, refused=["a", "b"]) == 2 * PAUSE_SECONDS
    assert rotation.took(accepted=0, refused=["c"]) == PAUSE_SECONDS


def test_a_fruitless_round_doubles_the_pause_up_to_a_bound() -> None:
    rotation = Rotation()
    pauses = [rotation.took(accepted=0, refused=["a"]) for _ in range(20)]
    assert pauses[:3] == [PAUSE_SECONDS, 2 * PAUSE_SECONDS, 4 * PAUSE_SECONDS]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 8 * PAUSE_SECONDS
    assert rotation.took(accepted=0, refused=[str(number) for number in range(10_000)]) == LONGEST_PAUSE_SECONDS


def test_a_round_that_brought_a_job_is_not_fruitless() -> None:
    rotation = Rotation()
    for _ in range(5):
        rotation.took(accepted=0, refused=["a"])
    rotation.took(accepted=1, refused=[])
    assert rotation.took(accepted=0, refused=["a"]) == PAUSE_SECONDS


def test_room_in_a_lane_makes_it_fast_again() -> None:
    rotation = Rotation()
    for _ in range(5):
        rotation.took(accepted=0, refused=["a"])
    rotation.room()
    assert rotation.took(accepted=0, refused=["b"]) == PAUSE_SECONDS


async def test_room_ends_a_pause() -> None:
    rotation = Rotation()
    rotation.took(accepted=0, refused=["a"])
    pausing = asyncio.create_task(rotation.pause(3600))
    await asyncio.sleep(0)
    rotation.room()
    await asyncio.wait_for(pausing, 5)
    await rotation.pause(0)


def test_what_it_remembers_is_bounded() -> None:
    rotation = Rotation()
    for number in range(100_000):
        rotation.took(accepted=0, refused=[str(number)])
    assert len(rotation._seen) <= 10_001
