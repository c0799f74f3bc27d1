"""What a question for the metric's values is answered with, out of memory."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from workerpool_operator.domain.metric import METRIC, METRIC_POOL_LABEL
from workerpool_operator.serve.external_metrics import documents, selector
from workerpool_operator.serve.external_metrics.documents import Json, PoolValue
from workerpool_operator.serve.external_metrics.selector import Selector
from workerpool_operator.serve.values import Value


@dataclass(frozen=True, slots=True)
class Question:
    """Which values are asked for. `selector` is the text of a label selector, empty for all pools."""

    namespace: str
    metric: str
    selector: str = ""


class Board(Protocol):
    """The values of all pools."""

    @property
    def open(self) -> bool:
        """Whether this replica has begun to lead, and knows which pools there are."""

    def get(self, namespace: str, pool: str) -> Value | None:
        """The pool's value, or None where there is none that may be believed now."""


class Pools(Protocol):
    """Which pools there are."""

    def __call__(self, namespace: str) -> Collection[str]:
        """Names of the pools in the namespace."""


class Values:
    """Answers for a leader."""

    def __init__(
        self,
        board: Board,
        pools: Pools,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`clock` is the one by which values are dated."""
        self._board = board
        self._pools = pools
        self._clock = clock
        self._wall_clock = wall_clock

    def answer(self, question: Question) -> Json:
        """The document with the values.

        Who asks for named pools gets all of them or none: an HPA adds the items up, and a sum that lacks one would
        scale in. Only without a selector, which is for people, what has no value is left out.

        Raises:
            ApiError: 404 for another metric or pools that are not there, 503 while a pool has no fresh value.
        """
        if not self._board.open:
            raise documents.unavailable("the operator has just begun to lead and looks which pools there are")
        if question.metric != METRIC:
            raise documents.not_found(f"there is no metric {question.metric!r} here, only {METRIC!r}")
        try:
            wanted = selector.parse(question.selector)
        except selector.SelectorError as error:
            raise documents.bad_request(str(error)) from error
        selected = self._selected(question.namespace, wanted)
        if not selected and question.selector:
            raise documents.not_found(
                f"no WorkerPool of namespace {question.namespace!r} is selected by {question.selector!r}"
            )
        values = {name: self._value(question.namespace, name) for name in selected}
        missing = [name for name, value in values.items() if value is None]
        if missing and (question.selector or len(missing) == len(selected)):
            raise documents.unavailable(_why_missing(question.namespace, missing))
        return documents.value_list(METRIC, [value for value in values.values() if value is not None])

    def _selected(self, namespace: str, wanted: Selector) -> list[str]:
        """Names, in order. An HPA names its pool, which need not be looked for among all."""
        there, named = self._pools(namespace), wanted.values(METRIC_POOL_LABEL)
        names = there if named is None else [name for name in named if name in there]
        return sorted(name for name in names if wanted.matches({METRIC_POOL_LABEL: name}))

    def _value(self, namespace: str, name: str) -> PoolValue | None:
        found = self._board.get(namespace, name)
        if found is None:
            return None
        return PoolValue(name, found.value, self._wall_clock() - timedelta(seconds=self._clock() - found.read_at))


def _why_missing(namespace: str, names: list[str]) -> str:
    which = ", ".join(f"{namespace}/{name}" for name in names[:5]) + (", ..." if len(names) > 5 else "")  # noqa: PLR2004
    return (
        f"no fresh value of {which}: its queues have not been read recently (see the condition ScalingActive),"
        " or a person sets its size"
    )
