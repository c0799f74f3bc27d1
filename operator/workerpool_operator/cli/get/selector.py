"""Label selectors, as the API server reads them: one that it would refuse is not sent.

Grammar: https://pkg.go.dev/k8s.io/apimachinery/pkg/labels#Parse
"""

import re
from typing import Final

import typer

from workerpool_operator.cli.terminal import one_line

_WORD: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_KEY: Final = rf"(?:(?=[^/]{{1,253}}/){_LABEL}(?:\.{_LABEL})*/)?{_WORD}"
_VALUE: Final = rf"(?:{_WORD})?"
_VALUES: Final = rf"\(\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*\)"
_ONE: Final = (
    rf"\s*(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==?|!=)\s*{_VALUE}|\s*[<>]\s*-?[0-9]{{1,18}}|\s+(?:in|notin)\s*{_VALUES})?)\s*"
)
_SELECTOR: Final = re.compile(rf"(?:{_ONE}(?:,{_ONE})*)?", re.ASCII)


def selecting(selector: str) -> str:
    """Check what was typed.

    Raises:
        typer.BadParameter: it is no selector.
    """
    if _SELECTOR.fullmatch(selector) is None:
        raise typer.BadParameter(
            f"{one_line(selector)!r} is no label selector: write key=value, key!=value, key in (a, b), key or !key, "
            "with commas between"
        )
    return selector
