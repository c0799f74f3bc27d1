"""When the worker warns of what it uses."""

from typing import Any

import pytest

from workerpool.runtime.watchdog.resources import Resources
from workerpool.runtime.watchdog.trends import Alarm, Growth
from workerpool.telemetry.process import open_files


class Log:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.said.append(("warning", event))

    def info(self, event: str, **fields: Any) -> None:
        self.said.append(("info", event))


def test_an_alarm_rings_after_so_many_readings_in_a_row() -> None:
    alarm = Alarm(on=90, off=75, times=3)
    assert [alarm.look(value) for value in (95, 95, 80, 95, 95)] == [False] * 5
    assert alarm.look(95)
    assert alarm.ringing


def test_an_alarm_goes_off_only_below_its_lower_bound_and_tells_each_change_once() -> None:
    alarm = Alarm(on=90, off=75)
    assert [alarm.look(value) for value in (91, 99, 80, 89, 76)] == [True, False, False, False, False]
    assert alarm.look(74)
    assert not alarm.ringing
    assert not alarm.look(74)


def test_growth_needs_all_its_readings() -> None:
    growth = Growth(samples=6)
    assert [growth.add(value) for value in (1, 10, 100, 1000, 10_000)] == [0] * 5
    assert growth.add(100_000) > 0


def test_a_spike_is_no_growth_and_a_leak_is() -> None:
    flat, leak = Growth(samples=9), Growth(samples=9)
    for value in (100, 100, 100, 900, 100, 100, 100, 900, 100):
        steady = flat.add(value)
    for value in range(100, 190, 10):
        grown = leak.add(value)
    assert steady == 0
    assert grown == pytest.approx(170 / 110 - 1)


def test_an_empty_past_is_no_growth() -> None:
    growth = Growth(samples=3)
    assert [growth.add(0) for _ in range(5)] == [0] * 5


def test_each_warning_is_said_once_and_so_is_its_end() -> None:
    log, files = Log(), [10]
    resources = Resources(cores=2, open_files=lambda: (files[0], 100), log=log)
    for percent in (190, 190, 190, 190, 160, 140, 140):
        resources.look(cpu_percent=percent, memory_bytes=100)
    assert [kind for kind, _ in log.said] == ["warning", "info"]
    assert "cpu is saturated" in log.said[0][1]
    log.said.clear()
    for files[0] in (81, 90, 70, 59):
        resources.look(cpu_percent=0, memory_bytes=100)
    assert [(kind, event.rpartition(": ")[2]) for kind, event in log.said] == [
        ("warning", "open files run out"),
        ("info", "open files run out"),
    ]


def test_memory_that_grows_heartbeat_after_heartbeat_is_warned_about() -> None:
    log = Log()
    resources = Resources(cores=1, open_files=lambda: (1, 100), log=log)
    for number in range(60):
        resources.look(cpu_percent=0, memory_bytes=(100 + 5 * number) << 20)
    assert log.said == [("warning", "memory grows")]


def test_open_files_are_counted(tmp_path: Any) -> None:
    before, allowed = open_files()
    with (tmp_path / "x").open("w"):
        assert open_files() == (before + 1, allowed)
    assert 0 < before < allowed
