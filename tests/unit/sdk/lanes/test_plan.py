"""How a worker's slots are shared by its lanes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool import ConfigurationError
from workerpool.runtime.lanes import Kind
from workerpool.runtime.lanes.plan import cores, share

IO, THREAD, CPU = Kind.IO, Kind.THREAD, Kind.CPU


@pytest.mark.parametrize(
    ("total", "kinds", "chosen", "expected"),
    [
        (20, [IO], {}, {IO: 20}),
        (20, [THREAD, THREAD], {}, {THREAD: 20}),
        (20, [CPU], {}, {CPU: 2}),
        (20, [CPU, IO], {}, {IO: 18, CPU: 2}),
        (20, [CPU, THREAD, IO], {}, {IO: 9, THREAD: 9, CPU: 2}),
        (20, [THREAD, IO], {THREAD: 4}, {IO: 16, THREAD: 4}),
        (20, [CPU, IO], {CPU: 8}, {IO: 12, CPU: 8}),
        (20, [IO], {CPU: 8}, {IO: 20}),
        (3, [CPU, THREAD, IO], {}, {IO: 1, THREAD: 1, CPU: 1}),
        (1, [CPU, THREAD, IO], {}, {IO: 1, THREAD: 1, CPU: 1}),
        (5, [], {}, {IO: 5}),
    ],
)
def test_slots_are_shared(total: int, kinds: list[Kind], chosen: dict[Kind, int], expected: dict[Kind, int]) -> None:
    assert share(total, kinds, cores=2, chosen=chosen) == expected


@pytest.mark.parametrize(
    ("total", "kinds", "chosen", "expected"),
    [
        (20, [CPU], {}, {CPU: 20}),
        (1000, [CPU], {}, {CPU: 200}),
        (400, [CPU, IO], {}, {IO: 200, CPU: 200}),
        (100, [CPU, IO], {}, {IO: 50, CPU: 50}),
        (100, [CPU, IO], {IO: 10}, {IO: 10, CPU: 90}),
        (100, [CPU, IO], {CPU: 60}, {IO: 40, CPU: 60}),
        (2, [CPU, THREAD, IO], {}, {IO: 1, THREAD: 1, CPU: 1}),
    ],
)
def test_a_lane_whose_processes_do_batches_gets_slots_for_their_jobs(
    total: int, kinds: list[Kind], chosen: dict[Kind, int], expected: dict[Kind, int]
) -> None:
    assert share(total, kinds, cores=2, chosen=chosen, per_process=100) == expected


@given(
    total=st.integers(3, 500),
    kinds=st.sets(st.sampled_from(Kind), min_size=1),
    count=st.integers(1, 64),
)
def test_every_lane_in_use_has_a_slot_and_all_together_fit(total: int, kinds: set[Kind], count: int) -> None:
    slots = share(total, kinds, cores=count, chosen={})
    assert set(slots) == kinds
    assert min(slots.values()) >= 1
    assert sum(slots.values()) == (min(total, count) if kinds == {CPU} else total)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"MAX_WORKERS is 4: .*\(io: 3, cpu: 2\)"):
        share(4, [IO, CPU], cores=2, chosen={IO: 3, CPU: 2})


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", None), ("50000 100000", 1), ("100000 100000", 1), ("110000 100000", 2), ("nonsense", None)],
)
def test_cores_are_those_of_the_containers_quota(tmp_path: Path, quota: str, expected: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    schedulable = len(os.sched_getaffinity(0))
    assert cores(tmp_path / "cpu.max") == min(expected or schedulable, schedulable)


def test_without_a_cgroup_the_schedulable_cores_count(tmp_path: Path) -> None:
    assert cores(tmp_path / "cpu.max") == len(os.sched_getaffinity(0))
