"""`wpool silence` on a real Alertmanager and a real API server."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool
from tests.support.alertmanager import alertmanager_in
from tests.support.pools import pool_body
from workerpool_operator.kube import Kube

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.promtool,
    pytest.mark.usefixtures("crds"),
]


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Its address."""
    with alertmanager_in(tmp_path) as url:
        yield url


def silences(url: str) -> list[dict[str, Any]]:
    """Those that are active."""
    with urllib.request.urlopen(f"{url}/api/v2/silences", timeout=10) as answer:
        return [one for one in json.load(answer) if one["status"]["state"] == "active"]


async def test_all_alerts_of_the_pool_are_silent_until_then_or_until_told(
    plane: ControlPlane, kube: Kube, namespace: str, alertmanager: str
) -> None:
    await kube.create(pool_body(namespace=namespace))
    words = ("silence", "thumbs", "-n", namespace, "--alertmanager", alertmanager)
    shown = await wpool(plane, *words, "--for", "2h", "--comment", "moving")
    assert shown.returncode == 0, shown.stderr
    [made] = silences(alertmanager)
    assert made["id"] in shown.stdout
    assert {one["name"]: one["value"] for one in made["matchers"]} == {"namespace": namespace, "pool": "thumbs"}
    assert (made["comment"], made["endsAt"] > made["startsAt"]) == ("moving", True)

    again = await wpool(plane, *words, "--for", "1d")
    assert again.returncode == 0
    [longer] = silences(alertmanager)
    assert longer["endsAt"] > made["endsAt"]

    ended = await wpool(plane, *words, "--end")
    assert (ended.returncode, silences(alertmanager)) == (0, [])
    none = await wpool(plane, *words, "--end")
    assert (none.returncode, none.stderr) == (1, f"{namespace}/thumbs: there is no such silence\n")


async def test_only_some_alerts_and_nothing_in_a_dry_run(
    plane: ControlPlane, kube: Kube, namespace: str, alertmanager: str
) -> None:
    """The silence of some is another one than that of all."""
    await kube.create(pool_body(namespace=namespace))
    words = ("silence", "thumbs", "-n", namespace, "--alertmanager", alertmanager)
    only = ("--alert", "HighQueueDepth", "--alert", "ApiErrors")
    assert "would be silent" in (await wpool(plane, *words, *only, "--dry-run")).stdout
    assert silences(alertmanager) == []
    assert (await wpool(plane, *words)).returncode == 0
    assert (await wpool(plane, *words, *only)).returncode == 0
    assert sorted(len(one["matchers"]) for one in silences(alertmanager)) == [2, 3]
    assert "would end" in (await wpool(plane, *words, "--end", "--dry-run")).stdout
    await wpool(plane, *words, "--end")
    [left] = silences(alertmanager)
    assert {"name": "alertname", "value": "ApiErrors|HighQueueDepth", "isRegex": True, "isEqual": True} in left[
        "matchers"
    ]


async def test_who_cannot_be_asked(plane: ControlPlane, kube: Kube, namespace: str, alertmanager: str) -> None:
    """A pool that is not there is not silenced; and what is wrong is told."""
    missing = await wpool(plane, "silence", "nobody", "-n", namespace, "--alertmanager", alertmanager)
    assert missing.returncode == 3
    assert f"WorkerPool {namespace}/nobody" in missing.stderr
    await kube.create(pool_body(namespace=namespace))
    words = ("silence", "thumbs", "-n", namespace)
    away = await wpool(plane, *words, "--alertmanager", "http://127.0.0.1:9")
    assert away.returncode == 3
    assert "Give its address with --alertmanager" in away.stderr
    other = await wpool(plane, *words, "--alertmanager", f"{alertmanager}/nothing")
    assert other.returncode == 3
    assert "refuses: 404" in other.stderr
    for wrong in (("--for", "2 hours"), ("--for", "31d"), ("--for", "0m"), ("--alert", 'x"}')):
        assert (await wpool(plane, *words, *wrong)).returncode == 2
    assert silences(alertmanager) == []
