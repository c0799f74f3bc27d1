"""The events by which the fate of a job is known stand in the reference."""

from pathlib import Path

from workerpool.telemetry import fates

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "logs.md"


def test_each_event_is_in_the_reference() -> None:
    events = [value for name, value in vars(fates).items() if name.isupper()]
    text = PAGE.read_text("utf-8")
    assert len(events) > 5
    for event in events:
        assert f"| `{event}` |" in text
