"""From an answer to a number of jobs. Pure; errors say what is wrong and repeat nothing of the answer."""

import json
import math
import re
from typing import Any, Final

from workerpool.errors import BadAnswer, BrokerUnavailable, ConfigurationError

MOST_JOBS: Final = 1e12
"""More is no count of jobs: a unit was mixed up."""
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]{1,6})\]|\['([^'\]]+)'\]")


def count(value: object) -> int:
    """A number of jobs, rounded up: a fraction of a job is a job.

    Raises:
        BadAnswer: it is no number, or none that a number of jobs can be.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadAnswer(f"the answer is no number but {_kind(value)}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise BadAnswer("the answer is no number") from None
    if math.isnan(number):
        raise BadAnswer("the answer is NaN")
    if number < 0:
        raise BadAnswer("the answer is below 0")
    if number > MOST_JOBS:
        raise BadAnswer(f"the answer is above {MOST_JOBS:g}, which is no number of jobs")
    return math.ceil(number)


def parsed(body: bytes) -> Any:
    """The JSON of an answer.

    Raises:
        BadAnswer: it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("the answer is no JSON") from None


def path_steps(path: str) -> tuple[str | int, ...]:
    """The steps of `$.data.queues[0]['a.b']`: names of fields and places in lists.

    Raises:
        ConfigurationError: the path is something else.
    """
    steps: list[str | int] = []
    at = 1 if path.startswith("$") else -1
    while 0 <= at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            break
        name, place, quoted = match.groups()
        steps.append(int(place) if place is not None else name or quoted)
        at = match.end()
    if at != len(path):
        raise ConfigurationError("a jsonPath is written as $.data.queues[0].depth, with ['...'] for other names")
    return tuple(steps)


def walk(value: Any, steps: tuple[str | int, ...]) -> Any:
    """What is at the end of the path.

    Raises:
        BadAnswer: the answer has no such place.
    """
    for number, step in enumerate(steps, start=1):
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
        if value is None:
            raise BadAnswer(f"the answer has nothing at step {number} of the jsonPath")
    return value


def of_prometheus(answer: Any) -> int:
    """The one value of an instant query's answer.

    Raises:
        BadAnswer: there is no value, or there are several.
        BrokerUnavailable: Prometheus says that it could not answer in time.
    """
    if not isinstance(answer, dict):
        raise BadAnswer("this is no answer of Prometheus")
    if answer.get("status") != "success":
        problem = str(answer.get("errorType"))
        if problem in {"timeout", "canceled", "unavailable", "internal"}:
            raise BrokerUnavailable(f"Prometheus could not answer: {problem}")
        raise BadAnswer("Prometheus refuses the query" + (": bad_data" if problem == "bad_data" else ""))
    data = answer.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "vector" and isinstance(result, list):
        if len(result) != 1:
            many = f"{len(result)} values: put sum() around it" if result else "no value: is the metric there?"
            raise BadAnswer(f"the query gives {many}")
        result = result[0].get("value") if isinstance(result[0], dict) else None
    elif kind != "scalar":
        raise BadAnswer("the query gives no single value: ask for an instant vector or a scalar")
    if not (isinstance(result, list) and len(result) == 2):  # noqa: PLR2004  the moment and the value
        raise BadAnswer("this is no answer of Prometheus")
    return count(result[1])


def _kind(value: object) -> str:
    names = {bool: "true or false", dict: "an object", list: "a list"}
    return names.get(type(value), "nothing")
