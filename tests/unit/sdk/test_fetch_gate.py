"""A library's fetchers stop at a fence and lose nothing; one that hangs is not hidden by the others."""

import pytest

from workerpool.adapters.intake import FetchGate, Rounds


class Told(list[str]):
    """What was called, in order."""

    def say(self, what: str) -> None:
        self.append(what)


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_gate_that_nobody_is_behind_is_closed_at_once(told: Told) -> None:
    gate = FetchGate()
    gate.close(lambda: told.say("paused"))
    assert told == ["paused"]
    assert not gate.enter("mail")
    gate.open()
    assert gate.enter("mail")


def test_a_fence_is_told_when_the_last_fetcher_has_told_of_all_that_it_was_given(told: Told) -> None:
    gate = FetchGate()
    assert gate.enter("mail")
    assert gate.enter("bills")
    gate.close(lambda: told.say("paused"))
    gate.leave("mail")
    assert told == []
    assert gate.enter("bills"), "it holds more, and goes on"
    assert not gate.enter("mail")
    gate.leave("bills")
    gate.leave("bills")
    assert told == ["paused"]


def test_a_fence_that_was_taken_away_is_not_told_later(told: Told) -> None:
    gate = FetchGate()
    gate.enter("mail")
    gate.close(lambda: told.say("paused"))
    gate.open()
    gate.leave("mail")
    gate.close(lambda: told.say("again"))
    assert told == ["again"]


def test_a_drain_is_for_good() -> None:
    gate = FetchGate()
    gate.shut()
    gate.open()
    assert not gate.enter("mail")


class PlayedRounds:
    def __init__(self, *fetchers: str) -> None:
        self.now = 0.0
        self.fetchers = list(fetchers)
        self.told = Told()
        self.rounds = Rounds(
            lambda: self.fetchers,
            turned=lambda: self.told.say("turned"),
            reached=lambda: self.told.say("reached"),
            away=self.told.say,
            clock=lambda: self.now,
        )

    def turn(self, *fetchers: str) -> list[str]:
        """What is told when they turn, a while later."""
        self.now += 1
        before = len(self.told)
        for fetcher in fetchers:
            self.rounds.turn(fetcher)
        return self.told[before:]


def test_the_broker_is_reached_when_all_have_been_answered() -> None:
    played = PlayedRounds("mail", "bills")
    assert played.turn("mail", "mail") == []
    assert played.turn("bills") == ["reached", "turned"]
    assert played.turn("bills", "mail") == ["turned"]


def test_nothing_is_reached_before_all_fetchers_are_known() -> None:
    played = PlayedRounds()
    assert played.turn("mail") == []
    played.fetchers = ["mail"]
    assert played.turn("mail") == ["reached", "turned"]


def test_one_that_hangs_stops_the_rounds() -> None:
    played = PlayedRounds("mail", "bills")
    played.turn("mail", "bills")
    assert [played.turn("mail") for _ in range(3)] == [[], [], []]


def test_one_that_fails_is_told_and_all_have_to_come_back() -> None:
    played = PlayedRounds("mail", "bills")
    played.turn("mail", "bills")
    played.rounds.fail("mail", "ConnectionError")
    assert played.told[-1] == "ConnectionError"
    assert played.turn("bills") == []
    assert played.turn("mail") == ["reached", "turned"]


def test_a_busy_fetcher_does_not_tell_at_each_message() -> None:
    played = PlayedRounds("mail")
    played.turn("mail")
    for _ in range(100):
        played.rounds.turn("mail")
    assert played.told == ["reached", "turned"]
