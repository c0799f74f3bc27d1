"""`wpool lint`: offline it says what the API server says, case by case of those that are played on a real one."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.component.api.rule_cases import ACCEPTED, REFUSED
from tests.support.pools import pool_body
from workerpool_operator.api.crd import BUDGET, POOL, root_schema
from workerpool_operator.cli.lint.fault import Fault
from workerpool_operator.cli.lint.read import Document, documents
from workerpool_operator.cli.lint.verdict import examine
from workerpool_operator.cli.main import app

ROOT = Path(__file__).parents[3]
SCHEMA = root_schema(POOL)


def of(body: Mapping[str, Any]) -> list[Fault]:
    return examine(Document(body=body), BUDGET if body["kind"] == BUDGET.kind else POOL)


def faults(**spec: Any) -> list[Fault]:
    return of(pool_body(**spec))


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


def test_a_field_that_nobody_knows_is_refused() -> None:
    """As kubectl has the server validate strictly, wherever it stands, and beside other faults."""
    body = pool_body(scaling={"maxReplica": 3, "minReplicas": 5, "maxReplicas": 2}, old=None) | {"status": {"x": 1}}
    body["metadata"]["label"] = {}
    found = {fault.field: fault for fault in of(body)}
    assert {"spec.scaling.maxReplica", "spec.scaling.minReplicas", "status.x", "metadata.label"} <= found.keys()
    assert [field for field, fault in found.items() if fault.warning] == ["spec.old"]


def test_what_a_file_says_of_the_status_is_dropped() -> None:
    """It is a subresource; only unknown fields of it are seen."""
    assert of(pool_body() | {"status": {"replicas": "many"}}) == []


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"labels": {"a": 1}}, "metadata.labels.a"),
        ({"labels": {"a": "b c"}}, "metadata.labels"),
        ({"labels": {"a b": "c"}}, "metadata.labels"),
        ({"labels": {"Team.example/a": "c"}}, "metadata.labels"),
        ({"annotations": {"a/b/c": "d"}}, "metadata.annotations"),
        ({"annotations": {"a": "b" * 300_000}}, "metadata.annotations"),
        ({"annotations": ["a"]}, "metadata.annotations"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x"}]}, "metadata.ownerReferences[0].uid"),
        ({"name": 1}, "metadata.name"),
        ({"name": "a.b"}, ""),
        ({"name": "a" * 60}, ""),
    ],
)
def test_metadata_is_looked_at_too(metadata: dict[str, Any], field: str) -> None:
    found = of(pool_body() | {"metadata": {"name": "thumbs"} | metadata})
    assert [(fault.field, fault.warning) for fault in found] == [(field, False)]


def test_what_a_server_writes_into_metadata_is_no_fault() -> None:
    """A pool that was got from a cluster can be given back."""
    written = {"labels": {"app.kubernetes.io/name": "a"}, "annotations": {"Team.example/a": "ü"}, "generation": 3}
    times = {
        "creationTimestamp": "2026-01-05T08:00:00Z",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:x": {}}}],
    }
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "u", "controller": True}
    metadata = {"name": "thumbs", "namespace": "media", "ownerReferences": [owner], "deletionTimestamp": None}
    assert of(pool_body() | {"metadata": metadata | written | times}) == []


SCALARS: dict[str, Any] = {
    "y": True, "No": False, "tRue": "tRue", "~": None, "": None, "1_000": 1000, "0x1F": 31, "0b11": 3, "-0o17": -15,
    "017": 15, "089": 89, "1e3": 1000, "1.": 1, "+.5": 0.5, "1:30": "1:30", "2026-01-05": "2026-01-05", "=": "=",
    "<<": "<<", "0o8": "0o8", "'1'": "1", "!!str 1": "1", "!!int '5'": 5, "!!timestamp 2026-01-05": "2026-01-05",
}  # fmt: skip
"""How kubectl reads them: tests/component/cli/test_lint.py asks it."""


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_scalars_are_read_as_kubectl_reads_them(text: str, value: Any) -> None:
    [one] = documents(f"it: {text}")
    assert one.body == {"it": value}


def test_keys_are_text() -> None:
    [one] = documents("{1: a, yes: b, 1e3: c, 1.5: d, 2026-01-05: e}")
    assert one.body == {"1": "a", "true": "b", "1000": "c", "1.5": "d", "2026-01-05": "e"}


def test_a_key_that_is_there_twice_is_a_warning_with_its_lines() -> None:
    """In any spelling, and in lists; one that comes by a merge may be laid over."""
    text = "a: &a {x: 1}\nb: {<<: *a, x: 2}\nc:\n  - d: 1\n    'd': 2\n    e: 3\n1: a\n'1': b\nf: *a\n"
    [one] = documents(text)
    assert one.body["c"] == [{"d": 2, "e": 3}]
    assert [fault.field for fault in one.doubled] == ["c[0].d", "1"]
    assert all(fault.warning for fault in one.doubled)
    assert one.doubled[0].message.startswith("in line 4 and again in line 5: kubectl takes the last one")


def test_of_a_list_each_item_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    item = json.dumps(pool_body()).replace('"image":', '"image": "old", "image":')
    file.write_text(
        f'{{"apiVersion": "v1", "kind": "List", "items": [{json.dumps(pool_body("fine"))}, {item}]}}', "utf-8"
    )
    shown = CliRunner().invoke(app, ["lint", str(file)])
    assert (shown.exit_code, shown.stdout) == (0, f"{file}: WorkerPool fine: valid\n")
    assert f"{file}: WorkerPool thumbs: warning: spec.worker.image: in line 1 and again in line 1" in shown.stderr
    assert CliRunner().invoke(app, ["lint", str(file), "--strict"]).exit_code == 1


def test_budgets_are_checked_too() -> None:
    body = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPoolBudget", "metadata": {"name": "gpu"}}
    assert of({**body, "spec": {"maxReplicas": 20}}) == []
    [found] = of({**body, "spec": {"maxReplicas": "many"}})
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
    assert f"{file}: WorkerPool thumbs: error: spec.scaling.maxReplica: unknown field" in shown.stderr
    assert shown.stdout == f"{file}: WorkerPool fine: valid\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "kind: Pod\n",
        "- 1\n",
        "\x00",
        "a: &a [*a]",
        "{[a]: b}",
        "{~: b}",
        r'a: "\ud800"',
    ],
)
def test_a_file_without_anything_to_check_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text, "utf-8")
    shown = CliRunner().invoke(app, ["lint", str(file)])
    assert (shown.exit_code, "Traceback" in shown.output) == (2, False)
    assert CliRunner().invoke(app, ["lint", str(tmp_path / "none")]).exit_code == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"apiVersion": "workerpool.dev/v1alpha2", "kind": "WorkerPool"},
            "no kind WorkerPool in workerpool.dev/",
        ),
        (
            {"apiVersion": "workerpool.dev/v1alpha1", "kind": "Workerpool"},
            "no kind Workerpool in workerpool.dev/",
        ),
        ({"apiVersion": "apps/v1", "kind": "WorkerPool"}, "and not of apps/v1"),
        ({"kind": "WorkerPoolBudget"}, "and not of no apiVersion"),
    ],
)
def test_what_is_nearly_ours_is_refused(tmp_path: Path, body: dict[str, Any], words: str) -> None:
    """As kubectl does, which finds no such kind; another object beside it does not hide that."""
    shown = CliRunner().invoke(app, ["lint", written(tmp_path, pool_body("fine"), body)])
    assert (shown.exit_code, "fine: valid" in shown.stdout) == (1, True)
    assert words in shown.stderr


def test_a_file_of_others_beside_ours_is_told(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("kind: Pod\n", "utf-8")
    shown = CliRunner().invoke(app, ["lint", written(tmp_path, pool_body("fine")), str(other)])
    assert shown.exit_code == 0
    assert f"{other}: nothing of ours in it" in shown.stdout


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1,\nb: 2\n", "line 3, column 1: expected ',' or ']', but got '<stream end>' (while parsing a flow"),
        ("a: \x00", "unacceptable character #x0000: special characters are not allowed"),
        ("[" * 5000, "it is nested too deeply"),
    ],
    ids=["unclosed", "control character", "too deep"],
)
def test_what_is_no_yaml_is_told_on_one_line_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    """Not with the line ends of PyYAML's several lines spelled out."""
    file = tmp_path / "pool.yaml"
    file.write_text(text)
    shown = CliRunner().invoke(app, ["lint", str(file)], env={"COLUMNS": "400", "NO_COLOR": "1"})
    said = " ".join(shown.stderr.replace("│", " ").split())
    assert (shown.exit_code, "\\n" in said) == (2, False)
    assert f"is no YAML: {words}" in said
