"""No word is promised that nobody ever says."""

import re
from pathlib import Path

import pytest

from workerpool_operator.api import Limiter, Reason
from workerpool_operator.protocol import SampleError

SOURCES = Path(__file__).resolve().parents[3] / "operator" / "workerpool_operator"
EVENTS = SOURCES / "domain" / "events.py"
"""Lists what is said elsewhere."""
SAID = {
    f"{found['enum']}.{found['member']}"
    for path in SOURCES.rglob("*.py")
    if path != EVENTS
    for found in re.finditer(r"\b(?P<enum>Reason|Limiter)\.(?P<member>[A-Z_]+)\b", path.read_text())
}


@pytest.mark.parametrize("word", [*Reason, *Limiter])
def test_every_reason_and_limiter_is_said_somewhere(word: Reason | Limiter) -> None:
    """A reading's error becomes the reason of the same name."""
    assert f"{type(word).__name__}.{word.name}" in SAID or str(word) in {str(error) for error in SampleError}
