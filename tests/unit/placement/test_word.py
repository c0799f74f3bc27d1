"""What a person has said of where workers belong: whether it is about the failover that there is."""

from datetime import UTC, datetime

import pytest

from workerpool_operator.domain.placement import told_home

LOST = datetime(2030, 1, 31, 12, 0, 0, tzinfo=UTC)
PLACE, SAID = "workerpool.dev/place", "workerpool.dev/place-said-at"


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({}, False),
        ({PLACE: "secondary"}, False),
        ({PLACE: "primary"}, True),
        ({PLACE: "primary", SAID: "2030-01-31T12:00:00+00:00"}, True),
        ({PLACE: "primary", SAID: "2030-01-31T13:00:00+01:00"}, True),
        ({PLACE: "primary", SAID: "2030-01-31T11:59:59Z"}, False),
        ({PLACE: "primary", SAID: "2030-01-31T11:00:00"}, True),
        ({PLACE: "primary", SAID: "yesterday"}, True),
        ({PLACE: "secondary", SAID: "2030-01-31T13:00:00Z"}, False),
    ],
)
def test_a_word_counts_for_what_had_happened_until_then(*, annotations: dict[str, str], told: bool) -> None:
    """One without a time that makes sense counts for ever."""
    assert told_home(annotations, home="primary", lost_since=LOST) is told


def test_where_nobody_knows_since_when_they_are_lost_the_word_counts() -> None:
    said = {PLACE: "primary", SAID: "2030-01-31T11:59:59Z"}
    assert told_home(said, home="primary", lost_since=None)
