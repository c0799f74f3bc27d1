"""Which rows of the table a browser is sent."""

from typing import Any

from workerpool_operator.ui import board as boards
from workerpool_operator.ui.board import Board


def table() -> Board:
    return Board(lambda obj: f"<{obj['v']}>")


def shown(board: Board, since: int) -> list[tuple[str, str, str]] | None:
    changes = board.since(since)
    return None if changes is None else [(one.key, one.html, one.after) for one in changes]


def test_only_what_has_changed_is_sent() -> None:
    """In the order of keys, each with the row above it."""
    board = table()
    one, two = {"v": 1}, {"v": 2}
    board.update({"b": two, "a": one})
    assert shown(board, 0) == [("a", "<1>", ""), ("b", "<2>", "a")]
    assert list(board.rows()) == ["<1>", "<2>"]
    seen = board.revision
    board.update({"a": one, "b": {"v": 3}})
    assert shown(board, seen) == [("b", "<3>", "a")]
    assert shown(board, board.revision) == []


def test_an_object_that_looks_the_same_is_no_change() -> None:
    """Most writes of a status change nothing that the table shows."""
    board = table()
    board.update({"a": {"v": 1}})
    seen = board.revision
    board.update({"a": {"v": 1}})
    assert board.revision == seen


def test_unchanged_objects_are_not_rendered_again() -> None:
    """A thousand pools cost nothing while one changes."""
    rendered: list[Any] = []
    board = Board(lambda obj: rendered.append(obj) or str(obj["v"]))  # type: ignore[func-returns-value]
    objects = {str(number): {"v": number} for number in range(100)}
    board.update(objects)
    board.update(objects | {"7": {"v": 107}})
    assert len(rendered) == 101


def test_who_was_away_hears_of_what_went_and_what_came_back() -> None:
    """A pool that was deleted and made again is there."""
    board = table()
    board.update({"a": {"v": 1}, "b": {"v": 2}})
    seen = board.revision
    board.update({"b": {"v": 2}})
    assert shown(board, seen) == [("a", "", "")]
    board.update({"a": {"v": 9}, "b": {"v": 2}})
    assert shown(board, seen) == [("a", "<9>", "")]


def test_who_was_away_for_too_long_loads_the_page_anew(monkeypatch: Any) -> None:
    """So does one that speaks of another run of the server."""
    monkeypatch.setattr(boards, "_MOST_GONE", 2)
    board = table()
    board.update({str(number): {"v": number} for number in range(5)})
    seen = board.revision
    for left in range(4, -1, -1):
        board.update({str(number): {"v": number} for number in range(left)})
    board.update({})
    assert board.since(seen) is None
    assert board.since(board.revision) == []
    assert board.since(board.revision + 1) is None
    assert board.since(-1) is None
