"""How far back lines are asked for."""

from datetime import UTC, datetime

import pytest
import typer

from workerpool_operator.cli.logs.command import moment


def test_a_span_leads_back_from_now() -> None:
    found = moment("10m")
    assert found is not None
    assert 600 <= (datetime.now(UTC) - found).total_seconds() < 660
    assert moment("") is None


@pytest.mark.parametrize("since", ["10", "m", "1w", "-1s", "999999d", "9" * 40 + "s"])
def test_one_that_leads_nowhere_is_wrong_usage(since: str) -> None:
    with pytest.raises(typer.BadParameter, match="--since"):
        moment(since)
