"""The wish for short slices, on the kernel that runs the tests."""

import multiprocessing
import os
import platform

import pytest

from workerpool_operator.metrics_api import scheduling


def wish() -> None:
    """In a process of its own, as it cannot be taken back."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    taken = scheduling.run_soon()
    unchanged = os.getpriority(os.PRIO_PROCESS, 0) == before and os.sched_getscheduler(0) == os.SCHED_OTHER
    raise SystemExit(0 if taken and unchanged else 1)


@pytest.mark.skipif(platform.machine() not in scheduling._SCHED_SETATTR, reason="its number is not known here")
def test_the_kernel_takes_the_wish_and_nothing_else_changes() -> None:
    process = multiprocessing.get_context("spawn").Process(target=wish)
    process.start()
    process.join()
    assert process.exitcode == 0


def test_a_machine_whose_number_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not scheduling.run_soon()
