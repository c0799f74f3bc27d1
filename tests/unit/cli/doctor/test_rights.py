"""Which rights the commands need, and what is said of those that somebody lacks."""

from dataclasses import replace
from typing import Any

import typer

from tests.unit.cli.doctor.seen import WELL, told
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.rights import ALL, NEEDS, Right
from workerpool_operator.cli.doctor.seen import Level
from workerpool_operator.cli.main import app

PATCH = Right("patch", "workerpools", "workerpool.dev")
EXEC = Right("create", "pods/exec")


def leaves(group: Any, above: str = "") -> set[str]:
    found = set()
    for name, command in group.commands.items():
        words = f"{above} {name}".strip()
        found |= leaves(command, words) if hasattr(command, "commands") else {words}
    return found


def test_each_command_has_a_row() -> None:
    """One that is new would else be said to be usable by everybody."""
    assert set(NEEDS) == leaves(typer.main.get_command(app))


def test_a_right_is_asked_for_once() -> None:
    """However many commands need it."""
    assert len(ALL) == len(set(ALL))
    assert set(ALL) == {right for rights in NEEDS.values() for right in rights}


def test_a_question_names_the_subresource() -> None:
    """And no namespace for what lies in none."""
    asked = EXEC.question("media")
    assert asked == {
        "verb": "create",
        "group": "",
        "resource": "pods",
        "subresource": "exec",
        "namespace": "media",
    }
    assert Right("get", "nodes", cluster=True).question("media")["namespace"] == ""


def test_what_is_missing_is_told_by_command() -> None:
    """Those that lack the same stand together."""
    found = [one for one in findings(replace(WELL, refused=[PATCH, EXEC], own="media")) if one.subject == "your rights"]
    assert [one.level for one in found] == [Level.NOTE] * len(found)
    texts = [one.text for one in found]
    assert "wpool job status, dump, flame, chaos: you may not create pods/exec in media" in texts
    [patching] = [text for text in texts if "patch workerpools" in text]
    assert patching.startswith(
        "wpool adopt, throttle, stop, start, drain, restart, migrate, reassign, ui, rollout promote"
    )
    assert "a role with workerpools.workerpool.dev: patch" in found[0].remedy


def test_who_has_all_can_use_all() -> None:
    found = told(replace(WELL, own="media"), "your rights")
    assert (found.level, found.text) == (Level.GOOD, "all commands can be used in media")
