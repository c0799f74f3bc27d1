"""What was typed into the fields of buttons."""

from collections.abc import Mapping

from workerpool_operator.ui.shared import LabelsError, TroubleError, labels_of
from workerpool_operator.ui.words import plain


def labels(said: Mapping[str, str]) -> dict[str, str]:
    """Of nodes.

    Raises:
        TroubleError: there are none; it says what to write.
    """
    try:
        return labels_of(said.get("primary", ""))
    except LabelsError as error:
        raise TroubleError(f"Say which nodes: {plain(str(error))}.") from None


def number(text: str, what: str, least: float, most: float) -> float:
    """Within these bounds.

    Raises:
        TroubleError: it is something else; it says what to write.
    """
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise TroubleError(f"Say how many {what}: a number from {least:g} to {most:g}.")
    return found
