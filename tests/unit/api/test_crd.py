"""The generated files: they match the models, and hold what the resource needs."""

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.pools import pool_body
from workerpool_operator.api.__main__ import generated, main
from workerpool_operator.api.crd import BUDGET, DEFINITIONS, POOL, Definition, definition, manifest

ROOT = Path(__file__).resolve().parents[3]
VERSION = definition()["spec"]["versions"][0]


def test_the_files_in_the_tree_match_the_models() -> None:
    assert main(["--check", "--root", str(ROOT)]) == 0, "run `make generate` and commit what it writes"


def test_a_difference_is_reported_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crd, *others = generated(tmp_path)
    crd.parent.mkdir(parents=True)
    crd.write_text("old")
    assert main(["--check", "--root", str(tmp_path)]) == 1
    assert crd.read_text() == "old"
    assert not any(path.exists() for path in others)
    assert capsys.readouterr().err == "".join(f"out of date: {path}\n" for path in (crd, *others))


def test_what_is_out_of_date_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    assert "wrote: " in capsys.readouterr().err
    assert main(["--check", "--root", str(tmp_path)]) == 0
    shutil.rmtree(tmp_path / "docs")
    assert main(["--check", "--root", str(tmp_path)]) == 1


@pytest.mark.parametrize("of", DEFINITIONS, ids=lambda of: of.kind)
def test_the_manifest_is_the_definition_without_anchors(of: Definition) -> None:
    assert yaml.safe_load(manifest(of)) == definition(of)
    assert "&id" not in manifest(of)


def test_a_budget_belongs_to_the_cluster_and_has_a_ledger_of_its_own() -> None:
    assert definition(BUDGET)["spec"]["scope"] == "Cluster"
    assert list(definition(BUDGET)["spec"]["versions"][0]["subresources"]) == ["status"]


def test_the_scale_subresource_points_at_fields_that_are_there() -> None:
    schema = VERSION["schema"]["openAPIV3Schema"]
    for path in VERSION["subresources"]["scale"].values():
        found: Any = schema
        for name in path.removeprefix(".").split("."):
            found = found["properties"][name]
        assert found["type"] in {"integer", "string"}


def test_replicas_have_a_default_because_the_scale_subresource_fails_without_a_value() -> None:
    assert VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["replicas"]["default"] == 1


def test_columns_that_people_look_at_come_first() -> None:
    shown = [column["name"] for column in POOL.columns if "priority" not in column]
    wide = [column["name"] for column in POOL.columns if "priority" in column]
    assert shown == ["Ready", "Replicas", "Desired", "Depth", "Version", "Canary", "Age"]
    assert wide == ["Mode", "Reason"]


def test_every_default_obeys_its_own_schema() -> None:
    checked = list(_check_defaults(VERSION["schema"]["openAPIV3Schema"]))
    assert len(checked) > 20


def test_the_smallest_pool_obeys_the_schema() -> None:
    jsonschema.validate(pool_body(), VERSION["schema"]["openAPIV3Schema"])


def test_nothing_refers_into_another_namespace() -> None:
    names = set(_field_names(VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert not {name for name in names if "namespace" in name.lower()}


def test_no_field_lends_a_worker_power_over_its_node_or_the_api() -> None:
    names = set(_field_names(VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert not names & {
        "capabilities",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostPath",
        "hostPort",
        "initContainers",
        "privileged",
        "procMount",
        "securityContext",
        "serviceAccountToken",
        "shareProcessNamespace",
    }


def _check_defaults(schema: dict[str, Any]) -> Any:
    if "default" in schema:
        jsonschema.validate(schema["default"], schema)
        yield schema
    for child in schema.get("properties", {}).values():
        yield from _check_defaults(child)
    if "items" in schema:
        yield from _check_defaults(schema["items"])


def _field_names(schema: dict[str, Any]) -> Any:
    for name, child in schema.get("properties", {}).items():
        yield name
        yield from _field_names(child)
    if "items" in schema:
        yield from _field_names(schema["items"])
