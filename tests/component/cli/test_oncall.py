"""`wpool throttle` and `wpool restart` against a real API server: what is written is what the operator understands."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import TwoHoursLate, wpool
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli import oncall
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.oncall import annotate, slow_down
from workerpool_operator.domain.desired import RESTART_ANNOTATION
from workerpool_operator.domain.scaling import THROTTLE, overrides
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, clock, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def made(kube: Kube, body: dict[str, object]) -> ObjectRef:
    """The pool, on the server."""
    del body["metadata"]["uid"]  # type: ignore[attr-defined]
    await kube.create(body)
    return ObjectRef(kinds.WORKER_POOL, body["metadata"]["namespace"], body["metadata"]["name"])  # type: ignore[index]


async def test_a_throttle_is_written_and_taken_away(
    plane: ControlPlane, access: ClusterAccess, kube: Kube, namespace: str, operator: str
) -> None:
    ref = await made(kube, pool_body("thumbs", namespace))
    said = await slow_down(access, namespace, "thumbs", per_second=2.5, minutes=30)
    assert overrides((await kube.get(ref))["metadata"]["annotations"]).throttle == said
    assert said.per_second == 2.5
    await annotate(access, namespace, "thumbs", {RESTART_ANNOTATION: "now"})
    shown = await wpool(plane, "throttle", "thumbs", "--off", "-n", namespace)
    assert shown.stdout == "thumbs: no throttle any more\n", shown.stderr
    annotations = (await kube.get(ref))["metadata"]["annotations"]
    assert (THROTTLE in annotations, annotations[RESTART_ANNOTATION]) == (False, "now")


async def test_a_throttle_ends_by_the_api_servers_clock(
    plane: ControlPlane, kube: Kube, namespace: str, operator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that of a machine that is two hours late it would have ended before it began."""
    ref = await made(kube, pool_body("thumbs", namespace))
    monkeypatch.setattr(oncall, "datetime", TwoHoursLate)
    before = await clock.now(kube)
    shown = await wpool(plane, "throttle", "thumbs", "1", "--minutes", "15", "-n", namespace)
    assert shown.returncode == 0, shown.stderr
    said = overrides((await kube.get(ref))["metadata"]["annotations"]).throttle
    assert said is not None
    assert timedelta(0) <= said.until - before - timedelta(minutes=15) < timedelta(minutes=1)
    assert abs(before - datetime.now(UTC)) < timedelta(minutes=1), "the API server runs on this machine"


async def test_a_restart_has_begun_when_the_command_ends(
    plane: ControlPlane, kube: Kube, namespace: str, operator: str
) -> None:
    """Whoever waits for the rollout next is not told of the one before it."""
    ref = await made(kube, pool_body("thumbs", namespace, rollout={"strategy": "Canary"}))

    def seen(**versions: str) -> dict[str, object]:
        return {"status": {"observedGeneration": 1, "rollout": {"stable": "0a", **versions}}}

    await kube.merge_patch(ref, seen(wanted="0a"), subresource="status")
    running = asyncio.create_task(wpool(plane, "restart", "thumbs", "--yes", "-n", namespace))

    async def written() -> bool:
        return RESTART_ANNOTATION in (await kube.get(ref))["metadata"].get("annotations", {})

    await until(written)
    assert not running.done()
    await kube.merge_patch(ref, seen(wanted="0b", canary="0b"), subresource="status")
    shown = await running
    assert (shown.returncode, shown.stderr) == (0, "")


async def test_a_throttle_that_nobody_could_keep_is_not_written(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    queue = {"name": "main", "redisList": {"url": "redis://redis:6379/0", "keys": ["celery"]}}
    ref = await made(kube, pool_body("thumbs", namespace, queues=[queue]))
    with pytest.raises(TroubleError, match="cannot keep a rate"):
        await slow_down(access, namespace, "thumbs", per_second=1.0, minutes=30)
    assert THROTTLE not in (await kube.get(ref))["metadata"].get("annotations", {})
