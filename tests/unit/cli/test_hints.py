"""Commands that a text names can be pasted: they mean the cluster and namespace that were meant."""

import ast
import re
from pathlib import Path

import pytest

from workerpool_operator.cli.canary import canary_of
from workerpool_operator.cli.hints import in_context, where

CLI = Path(__file__).parents[3] / "operator" / "workerpool_operator" / "cli"
PLACEHOLDER = re.compile(r"(?:wpool|kubectl)[a-z -]* POOL\b")


def test_what_was_not_given_is_not_said() -> None:
    assert where() == where(namespace="", context=None) == ""


def test_what_was_given_is_said_as_a_shell_takes_it() -> None:
    assert where(namespace="media", context="prod") == " -n media --context prod"
    assert where(context="arn:aws:eks/$(x) y") == " --context 'arn:aws:eks/$(x) y'"


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("`wpool doctor` tells", "`wpool doctor --context prod` tells"),
        ("wpool rollout retry thumbs -n media", "wpool rollout retry --context prod thumbs -n media"),
        ("wpool get thumbs; kubectl get nodes", "wpool get --context prod thumbs; kubectl --context prod get nodes"),
        ("kubectl -n media describe pods", "kubectl --context prod -n media describe pods"),
        ("helm upgrade x charts/y --set a=b", "helm upgrade --kube-context prod x charts/y --set a=b"),
    ],
)
def test_each_command_of_a_text_gets_the_context(text: str, completed: str) -> None:
    assert in_context(text, "prod") == completed
    assert in_context(text, None) == text


@pytest.mark.parametrize(
    "text",
    [
        "upgrade wpool",
        "wpool lint checks the file",
        "wpool get: there is none",
        "`kubectl config get-contexts` shows them",
        "kubectl",
        "the wpool of its release",
        "wpool getter",
    ],
)
def test_what_asks_no_cluster_is_left_alone(text: str) -> None:
    assert in_context(text, "prod") == text


def test_a_context_is_no_pattern() -> None:
    assert in_context("kubectl get nodes", r"\1") == r"kubectl --context '\1' get nodes"


def test_a_rejected_version_is_tried_again_by_what_is_written_there() -> None:
    pool = {
        "metadata": {"name": "thumbs", "namespace": "media"},
        "status": {"rollout": {"stable": "aa", "wanted": "bb", "rejected": ["bb"]}},
    }
    canary = canary_of(pool, context="prod")
    assert canary is not None
    assert canary.waits.startswith("another version, or wpool rollout retry thumbs -n media --context prod: ")


def test_no_text_says_pool_where_it_could_name_it() -> None:
    """A placeholder is for help texts, which are written before any pool is known."""
    found = [
        f"{path.relative_to(CLI)}:{text.lineno}: {text.value}"
        for path in CLI.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in function.body
        for text in ast.walk(statement)
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and PLACEHOLDER.search(text.value)
    ]
    assert found == []
