"""What pools have used, from a Prometheus, where the user names one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workerpool_operator.ui.shared import CostLine, TroubleError, ask_prometheus, cost_lines

WINDOWS: Final = ("1d", "7d", "30d")
MOST_LINES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer, or why there is none."""

    window: str
    windows: Sequence[str] = WINDOWS
    lines: Sequence[CostLine] = ()
    totals: Sequence[tuple[str, float]] = ()
    """(currency, amount)."""
    trouble: str = ""
    asked: bool = True
    """Whether there is a Prometheus to ask."""


class Costs:
    """Asks `address`; empty: nobody."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, window: str, *, namespace: str | None) -> Found:
        """What was used within one of `WINDOWS`."""
        window = window if window in WINDOWS else WINDOWS[1]
        if not self._address:
            return Found(window=window, asked=False)
        try:
            lines = await asyncio.to_thread(
                lambda: cost_lines(
                    lambda query: ask_prometheus(self._address, query), (), namespace=namespace, window=window
                )
            )
        except TroubleError as error:
            return Found(window=window, trouble=str(error))
        totals: dict[str, float] = {}
        for line in lines:
            if line.cost is not None:
                totals[line.currency] = totals.get(line.currency, 0.0) + line.cost
        return Found(window=window, lines=lines[:MOST_LINES], totals=sorted(totals.items()))
