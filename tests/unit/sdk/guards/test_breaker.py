"""A circuit by itself, its clock played."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from workerpool import Breaker, ConfigurationError
from workerpool.guards.breaker import PROBES, Circuit, State
from workerpool.runtime.verdict import Verdict


@dataclass
class Call:
    verdict: Verdict = Verdict.NONE
    settling: bool = False


@dataclass
class Play:
    """A circuit that is asked for each call, which then ends at once."""

    breaker: Breaker = field(default_factory=lambda: Breaker(calls=10, failures=0.5, window=30, pause=10))
    now: float = 1000.0
    told: list[State] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.circuit = Circuit(
            self.breaker, name="x", told=lambda one: self.told.append(one.state), log=structlog.get_logger()
        )

    def call(self, verdict: Verdict, *, times: int = 1) -> int:
        """How many were admitted."""
        admitted = 0
        for _ in range(times):
            call = Call()
            if self.circuit.admit(call, now=self.now):
                admitted += 1
                call.verdict, call.settling = verdict, True
                self.circuit.ended(call, now=self.now)
        return admitted

    def opened(self) -> "Play":
        self.call(Verdict.FAILED, times=self.breaker.calls)
        assert self.circuit.state is State.OPEN
        return self


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.SLOW])
def test_it_opens_when_enough_calls_have_failed_and_no_more_are_made(verdict: Verdict) -> None:
    assert Play().call(verdict, times=100) == 10


def test_rejected_and_interrupted_jobs_say_nothing() -> None:
    assert Play().call(Verdict.NONE, times=1000) == 1000


def test_less_than_the_share_does_not_open_it_and_the_share_does() -> None:
    play = Play()
    for _ in range(100):
        assert play.call(Verdict.DONE, times=6) == 6
        assert play.call(Verdict.FAILED, times=5) == 5
    play = Play()
    for _ in range(4):
        play.call(Verdict.DONE)
        play.call(Verdict.FAILED)
    assert not play.circuit.opened, "eight calls say nothing yet"
    play.call(Verdict.DONE)
    play.call(Verdict.FAILED)
    assert play.circuit.opened


def test_failures_leave_the_window() -> None:
    play = Play()
    play.call(Verdict.FAILED, times=9)
    play.now += 31
    assert play.call(Verdict.FAILED, times=9) == 9
    assert play.circuit.state is State.CLOSED


def test_a_probe_is_let_through_in_time_one_at_a_time() -> None:
    play = Play().opened()
    play.now += 4.9
    assert play.call(Verdict.DONE) == 0
    play.now += 10.2  # by half more than the pause at the latest
    probe, other = Call(), Call()
    assert play.circuit.admit(probe, now=play.now)
    assert not play.circuit.admit(other, now=play.now)
    probe.verdict = Verdict.DONE
    play.circuit.ended(probe, now=play.now)
    assert play.circuit.admit(other, now=play.now)


def test_it_closes_after_some_probes_and_forgets_the_outage() -> None:
    play = Play().opened()
    play.now += 20
    assert play.call(Verdict.DONE, times=PROBES) == PROBES
    assert play.told == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    assert play.call(Verdict.FAILED, times=9) == 9
    assert play.circuit.state is State.CLOSED


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    play = Play(Breaker(calls=1, pause=10, longest_pause=40)).opened()
    pauses = []
    for _ in range(8):
        pauses.append(play.circuit.shut_for(play.now))
        play.now += pauses[-1]
        assert play.call(Verdict.FAILED) == 1
        assert play.circuit.state is State.OPEN
    for pause, ceiling in zip(pauses, [10, 20, 40, 40, 40, 40, 40, 40], strict=True):
        assert 0.5 * ceiling <= pause <= 1.5 * ceiling


def test_probes_are_spread() -> None:
    pauses = {round(Play().opened().circuit.shut_for(1000.0), 1) for _ in range(200)}
    assert len(pauses) > 50


@pytest.mark.parametrize("told", [True, False])
def test_a_probe_that_ends_without_a_word_gives_its_place_to_the_next(*, told: bool) -> None:
    """It was rejected, or drained, or found to be no job at all."""
    play = Play().opened()
    play.now += 20
    probe = Call()
    assert play.circuit.admit(probe, now=play.now)
    probe.settling = True
    if told:
        play.circuit.ended(probe, now=play.now)
    assert play.circuit.admit(Call(), now=play.now)
    assert play.circuit.state is State.HALF_OPEN


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    play, late = Play(), Call()
    assert play.circuit.admit(late, now=play.now)
    play.opened()
    late.verdict = Verdict.DONE
    play.circuit.ended(late, now=play.now)
    assert play.circuit.state is State.OPEN


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"failures": 1.1}, {"calls": 0}, {"pause": 0}, {"pause": 90}, {"window": 0}]
)
def test_a_breaker_that_could_not_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Breaker(**wrong)
