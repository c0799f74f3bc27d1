"""The time on the API server."""

from datetime import UTC, datetime
from typing import cast

import pytest

from workerpool_operator.kube import Kube, clock, errors


class Server:
    """Answers at this moment, by its own clock."""

    def __init__(self, date: str) -> None:
        self.date = date

    async def server_version(self) -> tuple[int, int]:
        return (1, 36)


async def test_it_is_what_its_answers_say() -> None:
    """Whatever this machine's clock says."""
    assert await clock.now(cast("Kube", Server("Sun, 06 Nov 1994 08:49:37 GMT"))) == datetime(
        1994, 11, 6, 8, 49, 37, tzinfo=UTC
    )


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_one_that_does_not_say_is_not_guessed(date: str) -> None:
    """A moment by a clock that may be wrong would be kept to by everybody."""
    with pytest.raises(errors.Unavailable, match="what time it is"):
        await clock.now(cast("Kube", Server(date)))
