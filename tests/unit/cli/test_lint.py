"""`wpool lint`: offline it says what the API server says, case by case of those that are played on a real one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.component.api.rule_cases import ACCEPTED, REFUSED
from tests.support.pools import pool_body
from workerpool_operator.api.crd import BUDGET, POOL, root_schema
from workerpool_operator.cli.lint.validate import Fault, validate
from workerpool_operator.cli.main import app

ROOT = Path(__file__).parents[3]
SCHEMA = root_schema(POOL)


def faults(**spec: Any) -> list[Fault]:
    return validate(pool_body(**spec), SCHEMA)


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_api_server_accepts_is_valid(spec: dict[str, Any]) -> None:
    assert faults(**spec) == []


@pytest.mark.parametrize(("spec", "field", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_api_server_refuses_is_refused_at_the_same_field(spec: dict[str, Any], field: str, words: str) -> None:
    """And in the same words, where they are a rule's: what a bound says is in ours."""
    found = [fault for fault in faults(**spec) if not fault.warning]
    assert field in [fault.field for fault in found], found
    rules = [message for message in messages(SCHEMA) if words in message]
    if rules:
        assert any(words in fault.message for fault in found), found


def messages(schema: Any) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for child in schema.get("properties", {}).values():
        yield from messages(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from messages(schema[key])


def test_a_field_that_would_be_dropped_is_a_warning() -> None:
    [found] = faults(scaling={"maxReplica": 3})
    assert (found.field, found.warning) == ("spec.scaling.maxReplica", True)


def test_budgets_are_checked_too() -> None:
    body = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPoolBudget", "metadata": {"name": "gpu"}}
    assert validate({**body, "spec": {"maxReplicas": 20}}, root_schema(BUDGET)) == []
    [found] = validate({**body, "spec": {"maxReplicas": "many"}}, root_schema(BUDGET))
    assert (found.field, found.warning) == ("spec.maxReplicas", False)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    if not any(word in path.read_text("utf-8") for word in ("kind: WorkerPool\n", "kind: WorkerPoolBudget\n")):
        pytest.skip("it has none of our kinds")
    shown = CliRunner().invoke(app, ["lint", "--strict", str(path)])
    assert shown.exit_code == 0, shown.output


def written(tmp_path: Path, *bodies: Any) -> str:
    file = tmp_path / "pool.yaml"
    file.write_text(yaml.safe_dump_all(bodies), "utf-8")
    return str(file)


def test_each_fault_is_a_line_with_its_field(tmp_path: Path) -> None:
    file = written(tmp_path, pool_body(replicas=-1, scaling={"maxReplica": 3}), pool_body("fine"))
    shown = CliRunner().invoke(app, ["lint", file])
    assert shown.exit_code == 1
    assert f"{file}: WorkerPool thumbs: error: spec.replicas: -1 should be greater" in shown.stderr
    assert f"{file}: WorkerPool thumbs: warning: spec.scaling.maxReplica: unknown field" in shown.stderr
    assert shown.stdout == f"{file}: WorkerPool fine: valid\n"


def test_warnings_are_faults_only_if_that_is_wanted(tmp_path: Path) -> None:
    file = written(tmp_path, pool_body(scaling={"maxReplica": 3}))
    assert CliRunner().invoke(app, ["lint", file]).exit_code == 0
    assert CliRunner().invoke(app, ["lint", file, "--strict"]).exit_code == 1


@pytest.mark.parametrize("text", ["", "a: [", "kind: Pod\n", "- 1\n", "\x00", "kind: WorkerPool\n"])
def test_a_file_without_anything_to_check_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text, "utf-8")
    shown = CliRunner().invoke(app, ["lint", str(file)])
    assert (shown.exit_code, "Traceback" in shown.output) == (2, False)
    assert CliRunner().invoke(app, ["lint", str(tmp_path / "none")]).exit_code == 2


@pytest.mark.parametrize(
    "body", [{"spec": []}, {"spec": None}, {}, {"metadata": None}, {"spec": {"worker": "x", "queues": {"a": 1}}}]
)
def test_whatever_a_file_holds_there_is_no_traceback(tmp_path: Path, body: dict[str, Any]) -> None:
    file = written(tmp_path, {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPool", **body})
    shown = CliRunner().invoke(app, ["lint", file])
    assert shown.exit_code == 1
    assert "error: " in shown.stderr


def test_lists_and_standard_input_are_read(tmp_path: Path) -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [pool_body("a"), pool_body("b")]})
    shown = CliRunner().invoke(app, ["lint", "-"], input=text)
    assert shown.stdout == "-: WorkerPool a: valid\n-: WorkerPool b: valid\n"
