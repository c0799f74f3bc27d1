"""`--dry-run` at a real API server: it checks what would be written, and writes nothing."""

from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_somebody, wpool
from tests.support.pools import pool_body
from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.rollout import ask
from workerpool_operator.domain.rollout.commands import Verb
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

PLACES = {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}}
CHANGES = (
    (["stop", "thumbs"], "be stopped"),
    (["stop", "thumbs", "--wait"], "be stopped"),
    (["start", "thumbs"], "be started"),
    (["drain", "thumbs"], "be stopped: 3 workers"),
    (["restart", "thumbs"], "have its workers replaced"),
    (["throttle", "thumbs", "5"], "begin at most 5 jobs per second until"),
    (["throttle", "thumbs", "--off"], "have no throttle any more"),
    (["migrate", "thumbs", "--to", "secondary"], "have its workers move to the secondary place"),
    (["reassign", "thumbs", "--primary", "zone=c"], "have zone=c as its primary place"),
    (["rollout", "promote", "thumbs"], "tell the operator to promote version 0b"),
    (["rollout", "promote", "thumbs", "--full"], "tell the operator to promote-full version 0b"),
    (["rollout", "abort", "thumbs"], "tell the operator to abort version 0b"),
    (["rollout", "undo", "thumbs"], "tell the operator to undo version 0b"),
    (["rollout", "pause", "thumbs"], "tell the operator to pause version 0b"),
    (["rollout", "resume", "thumbs"], "tell the operator to resume version 0b"),
    (["rollout", "retry", "thumbs"], "tell the operator to retry version 0b"),
)
NO_NODE = "no node has zone=c now: workers get no place there before one has\n"


@pytest.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    """One with two places, in the middle of a rollout."""
    body = pool_body("thumbs", namespace, placement=PLACES, rollout={"strategy": "Canary"})
    body["metadata"].pop("uid", None)
    generation = (await kube.create(body))["metadata"]["generation"]
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    rollout = {"stable": "0a", "wanted": "0b", "canary": "0b", "step": 1}
    status: dict[str, Any] = {"observedGeneration": generation, "replicas": 3, "rollout": rollout}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    return ref


async def test_what_would_be_done_is_said_and_nothing_is_written(
    plane: ControlPlane, kube: Kube, pool: ObjectRef
) -> None:
    """By every command that changes a pool; nobody is asked, and nothing is waited for."""
    before = await kube.get(pool)
    for words, would in CHANGES:
        shown = await wpool(plane, *words, "-n", pool.namespace, "--dry-run")
        assert shown.returncode == 0, words
        assert shown.stderr == (NO_NODE if words[0] == "reassign" else ""), words
        assert f"thumbs: would {would}" in shown.stdout, words
        assert "nothing was written" in shown.stdout
    assert await kube.get(pool) == before


async def test_what_the_api_server_would_refuse_is_refused(plane: ControlPlane, pool: ObjectRef) -> None:
    """A rule of the resource definition, which only the server evaluates."""
    shown = await wpool(plane, "reassign", "thumbs", "--primary", "zone=b", "-n", pool.namespace, "--dry-run")
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "must be different nodes" in shown.stderr


async def test_who_may_not_write_learns_it_from_the_rehearsal(
    plane: ControlPlane, pool: ObjectRef, tmp_path: Path
) -> None:
    own = of_somebody(plane, pool.namespace, tmp_path, verbs="get,list", resource="workerpools")
    for words, _ in CHANGES:
        shown = await wpool(plane, *words, "--dry-run", kubeconfig=own)
        assert (shown.returncode, "you may not do this" in shown.stderr) == (3, True), words


async def test_a_question_about_a_version_names_it_and_a_no_writes_nothing(
    plane: ControlPlane, kube: Kube, pool: ObjectRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(cluster, "somebody_is_there", lambda: True)
    monkeypatch.setattr("typer.confirm", answer)
    before = await kube.get(pool)
    shown = await wpool(plane, "rollout", "abort", "thumbs", "-n", pool.namespace)
    assert (shown.returncode, asked) == (1, ["Go back from version 0b of thumbs? It is not tried again by itself."])
    assert await kube.get(pool) == before


async def test_who_was_asked_about_a_version_does_not_hit_the_next_one(
    access: ClusterAccess, kube: Kube, pool: ObjectRef
) -> None:
    """It has changed while the question stood there."""
    before = await kube.get(pool)
    with pytest.raises(TroubleError, match="is at version 0b by now, and 0c was meant: nothing was done"):
        await ask.tell(access, pool.namespace, "thumbs", Verb.ABORT, version="0c")
    assert await kube.get(pool) == before
