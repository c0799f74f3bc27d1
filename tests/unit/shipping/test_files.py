"""The files of examples/logs: of one piece with each other, with the product, and with what the tests run of them."""

import re
from fnmatch import fnmatch
from typing import Any

import pytest

from e2e.cluster import paths
from e2e.shipping.files import LOKI, SHIPPER, documents, settings
from workerpool_operator.cli.logs.loki import LABELS
from workerpool_operator.domain.desired.names import COLLECTOR_NAME, WORKER

PROGRAMS = {SHIPPER: ("otelcol", "otelcol"), LOKI: ("loki", "loki/v3")}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods' specs, by the names of their workloads."""
    found = [one for one in objects if one["kind"] in {"Deployment", "DaemonSet"}]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in found}


@pytest.mark.parametrize("name", [SHIPPER, LOKI])
def test_the_tests_build_the_version_that_users_run(name: str) -> None:
    folder, module = PROGRAMS[name]
    [pod] = pods(documents(name)).values()
    _, _, version = pod["containers"][0]["image"].partition(":")
    required = (paths.SOURCE / "programs" / folder / "go.mod").read_text()
    assert re.search(rf"/{module} v{re.escape(version)}\b", required)


def test_the_collector_of_the_tests_has_each_component_that_is_named() -> None:
    source = (paths.SOURCE / "programs" / "otelcol" / "main.go").read_text()
    named = {
        part: [one.partition("/")[0] for one in settings(SHIPPER)[part]]
        for part in ("receivers", "processors", "exporters", "extensions")
    }
    assert named == {
        "receivers": ["file_log"], "processors": ["memory_limiter"],
        "exporters": ["otlp_http"], "extensions": ["file_storage"],
    }  # fmt: skip
    for package in ("filelogreceiver", "memorylimiterprocessor", "otlphttpexporter", "filestorage"):
        assert f"{package}.NewFactory()" in source


def test_lines_go_to_the_loki_beside_it() -> None:
    [service] = [one["metadata"] for one in documents(LOKI) if one["kind"] == "Service"]
    endpoint = settings(SHIPPER)["exporters"]["otlp_http/loki"]["endpoint"]
    assert endpoint == f"http://{service['name']}.{service['namespace']}.svc:3100/otlp"
    assert "k8s_namespace_name" in LABELS


@pytest.mark.parametrize(
    ("folder", "container", "wanted"),
    [
        ("media_thumbs-3f2a9c1d-x_0a1b", WORKER, True),
        (f"media_{COLLECTOR_NAME}-7d-x_0a1b", "collector", True),
        ("workerpool-system_workerpool-operator-7d-x_0a1b", "operator", True),
        ("media_web-7d-x_0a1b", "web", False),
    ],
)
def test_the_logs_of_the_product_are_read_and_no_others(folder: str, container: str, *, wanted: bool) -> None:
    patterns = settings(SHIPPER)["receivers"]["file_log"]["include"]
    path = f"/var/log/pods/{folder}/{container}/0.log"
    assert any(fnmatch(path, pattern) for pattern in patterns) is wanted
