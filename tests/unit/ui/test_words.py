"""What others wrote, made fit to be shown."""

import json

import pytest

from workerpool_operator.ui.words import LONGEST_LINE, amount, log_line, plain, seconds


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain\ttext", "plain\ttext"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("\x1b]never ended", ""),
        ("\x1bPdevice\x1b\\x", "x"),
        ("\x1bc\x07\x00\x9b31m", "31m"),
        ("a\u202egpj.exe\u2066b\u200b", "agpj.exeb"),
        ("grün ⏎ 漢字", "grün ⏎ 漢字"),
    ],
)
def test_nothing_acts_unseen(written: str, shown: str) -> None:
    """Terminal sequences, control characters, turned directions."""
    assert plain(written) == shown


def test_a_line_of_json_is_made_readable() -> None:
    """Its time, level and sentence first; then the rest."""
    said = {"timestamp": "2030-01-31T12:34:56.789Z", "level": "warning", "event": "job\nfailed", "job_id": "7", "n": 2}
    assert log_line(json.dumps(said)) == "12:34:56 WARNING job ⏎ failed job_id=7 n=2"


@pytest.mark.parametrize("line", ["{not json", "[1]", '{"no": "sentence"}', "{}", "{" * 5000, '{"event": ""}'])
def test_any_other_line_stays_as_it_is(line: str) -> None:
    """Also one that only begins like JSON."""
    assert log_line(line + "\r\n") == line[:LONGEST_LINE]


def test_a_line_of_json_hides_no_sequences() -> None:
    """JSON writes control characters as escapes, which decoding brings back."""
    assert log_line('{"event": "\\u001b[2Jgone", "x": "\\u202e<b>"}') == "gone x=<b>"


def test_a_very_long_line_is_cut() -> None:
    """Nobody reads it, and the browser would have to."""
    assert len(log_line("x" * 100_000)) == LONGEST_LINE
    assert len(log_line(json.dumps({"event": "x" * 100_000}))) == LONGEST_LINE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.25, "0.25"),
        (3.14159, "3.14"),
        (31.4159, "31.4"),
        (314.1, "314"),
        (1234567, "1 234 567"),
    ],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    """With narrow spaces for thousands."""
    assert amount(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.04, "0 s"),
        (2.25, "2.20 s"),
        (59.4, "59 s"),
        (61, "1 min 1 s"),
        (7_260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_spans_have_two_units(value: float | None, text: str) -> None:
    """The largest ones."""
    assert seconds(value) == text
