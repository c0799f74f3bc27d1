"""Lines of logs: read, chosen and written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workerpool_operator.cli.logs.lines import Choice, Level, Line
from workerpool_operator.cli.logs.loki import MOST_NAMED, Wanted, query

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def line(text: str) -> Line:
    return Line.of(text, at=NOON, pool="thumbs", version="v", worker="w")


@pytest.mark.parametrize("text", ["plain", "[1]", '{"a": ', '"x"', "{" * 2000])
def test_what_is_no_object_is_shown_as_it_is(text: str) -> None:
    assert line(text).fields is None
    assert line(text).for_people().plain == f"12:00:00.000 w {text}"


def test_a_line_of_another_day_says_which() -> None:
    """`--since 3d` goes back so far; a day begins by UTC, as the times are."""
    said = line("plain")
    assert said.for_people(today=NOON.date()).plain == "12:00:00.000 w plain"
    later = (NOON + timedelta(days=1)).date()
    assert said.for_people(today=later).plain == "2026-01-02 12:00:00.000 w plain"
    assert line('{"event": "e"}').for_people(today=later).plain.startswith("2026-01-02 12:00:00.000 w ")


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


def asked(**fields: Any) -> str:
    """What Loki is asked for, behind the fields that are taken out of the lines."""
    wanted: dict[str, Any] = {"namespace": "media", "pool": "thumbs", "choice": Choice(), **fields}
    stream, *stages = query("namespace", Wanted(**wanted)).split(" | ")
    assert stages[0] == (
        'json wpool_pool="pool", wpool_version="version", wpool_worker="worker", wpool_job_id="job_id", '
        'wpool_level="level"'
    )
    return " | ".join([stream, *stages[1:]])


def test_loki_is_asked_for_lines_of_workers_of_the_pool() -> None:
    expected = '{namespace="media"} |= "thumbs" | wpool_worker!="" | wpool_pool="thumbs"'
    assert asked() == expected


@pytest.mark.parametrize(
    ("choice", "narrowed", "stage"),
    [
        (Choice(job_id="a-7"), ' |= "a-7"', 'wpool_job_id="a-7"'),
        # Writers of JSON differ in how they escape these.
        (Choice(job_id="a/7"), "", 'wpool_job_id="a/7"'),
        (Choice(job_id="😀"), "", 'wpool_job_id="😀"'),
        (Choice(version="3f2a9c1d"), "", 'wpool_version="3f2a9c1d"'),
        (Choice(worker="thumbs-1"), "", 'wpool_worker="thumbs-1"'),
        (Choice(level=Level.ERROR), "", 'wpool_level=~"(?i)error|critical|fatal"'),
    ],
)
def test_loki_is_asked_only_for_what_is_chosen(choice: Choice, narrowed: str, stage: str) -> None:
    """Its answers have an end: what is not wanted must not fill them."""
    expected = f'{{namespace="media"}} |= "thumbs"{narrowed} | wpool_worker!="" | wpool_pool="thumbs" | {stage}'
    assert asked(choice=choice) == expected


def test_loki_is_not_asked_for_what_is_had() -> None:
    """Unless that would be too long a question."""
    assert asked(without=frozenset({"b", "a.1"})).endswith(' | wpool_worker!~"a\\\\.1|b"')
    assert "!~" not in asked(without=frozenset(f"thumbs-{number}" for number in range(MOST_NAMED + 1)))


def test_names_cannot_break_out_of_a_query() -> None:
    found = asked(namespace='a"b', pool="p\\", choice=Choice(job_id='"} | x'))
    assert found == '{namespace="a\\"b"} | wpool_worker!="" | wpool_pool="p\\\\" | wpool_job_id="\\"} | x"'
