"""What people get wrong, and clusters: a sentence that says what to do, and never a traceback."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_nobody, wpool
from tests.support.attacks import attack
from tests.support.pools import pool_body
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

ASK = [
    ["get"],
    ["get", "thumbs", "--watch"],
    ["describe", "thumbs"],
    ["events", "thumbs"],
    ["top"],
    ["explain", "thumbs"],
]
HOSTILE = "gone\x1b[2J\x1b]0;owned\x07 \u202eback"


@pytest.mark.parametrize("words", ASK, ids=" ".join)
async def test_without_rights(plane: ControlPlane, namespace: str, tmp_path: Path, words: list[str]) -> None:
    shown = await wpool(plane, *words, kubeconfig=of_nobody(plane, namespace, tmp_path))
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "you may not do this" in shown.stderr
    assert "Traceback" not in shown.stderr


async def test_a_pool_that_is_not_there(plane: ControlPlane, namespace: str) -> None:
    for words in (["describe"], ["events"], ["top"], ["explain"], ["rollout", "get"]):
        shown = await wpool(plane, *words, "nobody", "-n", namespace)
        assert (shown.returncode, shown.stdout) == (3, ""), words
        assert f"WorkerPool {namespace}/nobody" in shown.stderr
        assert "wpool get --all-namespaces" in shown.stderr


async def test_a_context_that_is_not_there(plane: ControlPlane) -> None:
    shown = await wpool(plane, "get", "--context", "production")
    assert shown.returncode == 3
    assert "production" in shown.stderr
    assert "kubectl config get-contexts" in shown.stderr


async def test_a_cluster_that_does_not_answer(plane: ControlPlane, tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text("utf-8"))
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:9"
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config), "utf-8")
    shown = await wpool(plane, "get", kubeconfig=own)
    assert shown.returncode == 3
    assert "Is https://127.0.0.1:9 the cluster that you mean?" in shown.stderr


@attack("orders to the terminal in what a pool says", stopped_by="control characters are not printed")
async def test_what_a_pool_says_does_not_steer_the_terminal(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """The image, an annotation and a status may be anybody's words."""
    body = pool_body(namespace=namespace, worker={"env": [{"name": "A", "value": HOSTILE}]})
    body["metadata"]["annotations"] = {"workerpool.dev/note": HOSTILE}
    await kube.create(body)
    failed = {"type": "Ready", "status": "False", "reason": "Odd", "message": HOSTILE, "observedGeneration": 1}
    status = {
        "conditions": [failed | {"lastTransitionTime": "2026-01-02T03:04:05Z"}],
        "scaling": {"desired": 1, "reason": HOSTILE},
        "versions": [{"hash": "a", "revision": "b", "image": HOSTILE}],
    }
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    for words in (
        ["get", "-o", "wide"],
        ["get", "-o", "yaml"],
        ["get", "-o", "json"],
        ["describe", "thumbs"],
        ["explain", "thumbs"],
    ):
        shown = await wpool(plane, *words, "-n", namespace)
        assert shown.returncode == 0
        assert "gone" in shown.stdout, words
        assert not set("\x1b\x07\u202e") & set(shown.stdout), words


async def test_no_colour_where_nobody_wants_any(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """`NO_COLOR` wins over a terminal that could."""
    await kube.create(pool_body(namespace=namespace))
    coloured = await wpool(plane, "get", "-n", namespace, FORCE_COLOR="1")
    plain = await wpool(plane, "get", "-n", namespace, FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[31" in coloured.stdout
    assert "\x1b[31" not in plain.stdout
