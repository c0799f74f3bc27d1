"""Lines of logs: read, chosen and written."""

from datetime import UTC, datetime

import pytest

from workerpool_operator.cli.logs.lines import Choice, Level, Line, parse_time, stamped
from workerpool_operator.cli.logs.loki import query

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def line(text: str) -> Line:
    return Line.of(text, at=NOON, pool="thumbs", version="v", worker="w")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-01-02T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
        ("2026-01-02T14:00:00.000000001+02:00", NOON),
    ],
)
def test_times_have_any_number_of_digits(stamp: str, expected: datetime) -> None:
    assert parse_time(stamp) == expected
    assert stamped(f"{stamp} a b") == (expected, "a b")


@pytest.mark.parametrize("raw", ["", "half of a line", "2026 x"])
def test_a_line_without_its_time_is_none(raw: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        stamped(raw)


@pytest.mark.parametrize("text", ["plain", "[1]", '{"a": ', '"x"', "{" * 2000])
def test_what_is_no_object_is_shown_as_it_is(text: str) -> None:
    assert line(text).fields is None
    assert line(text).for_people().plain == f"12:00:00.000 w {text}"


def test_what_a_line_says_of_itself_counts_more() -> None:
    said = line('{"worker": "other", "version": "x", "pool": "p"}')
    assert (said.worker, said.version, said.pool) == ("other", "x", "p")


def test_a_hostile_line_stays_one_line() -> None:
    text = line('{"event": "a\\n\\u001b[2Jb", "level": "error", "x\\u0007": "c d\\n"}').for_people().plain
    assert text == '12:00:00.000 w ERROR   a\\n\\x1b[2Jb x\\x07="c d\\\\n"'


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (Choice(), [True, True]),
        (Choice(level=Level.WARNING), [True, False]),
        (Choice(level=Level.CRITICAL), [False, False]),
        (Choice(job_id="7"), [True, False]),
        (Choice(worker="w"), [True, True]),
        (Choice(version="other"), [False, False]),
    ],
)
def test_lines_are_chosen(choice: Choice, wanted: list[bool]) -> None:
    """A line that does not say its level or job is none of a certain one."""
    assert [choice.wants(line(text)) for text in ('{"level": "error", "job_id": 7}', "plain")] == wanted


def test_names_cannot_break_out_of_a_query() -> None:
    assert query('a"b', "p\\") == '{namespace="a\\"b"} |= "p\\\\" | json | pool="p\\\\" | worker!=""'
