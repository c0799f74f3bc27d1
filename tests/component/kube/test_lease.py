"""The election on a real API server."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.inject import Answer, FaultProxy, Match, Upstream
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube, LeaderElector, LeaseTimes, errors, kinds, lease
from workerpool_operator.kube.kinds import ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

TIMES = LeaseTimes(duration_seconds=3.0, deadline_seconds=2.0, renew_seconds=0.3, retry_seconds=0.3, look_seconds=0.3)


class Replica:
    """One elector behind a link of its own that can be cut."""

    def __init__(self, elector: LeaderElector, proxy: FaultProxy) -> None:
        self.elector = elector
        self.proxy = proxy
        self.task = asyncio.create_task(elector.run())

    def cut(self) -> None:
        self.proxy.fault(Match(), Answer(503))

    def heal(self) -> None:
        self.proxy.rules.clear()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def leads(self) -> None:
        await asyncio.wait_for(self.elector.wait_leading(), 60)


@asynccontextmanager
async def replicas(plane: ControlPlane, folder: Path, namespace: str, *names: str) -> AsyncIterator[list[Replica]]:
    upstream = await Upstream.from_kubeconfig(plane.kubeconfig)
    async with AsyncExitStack() as stack:
        made = []
        for name in names:
            proxy = await stack.enter_async_context(FaultProxy(upstream))
            access = await ClusterAccess.find(proxy.write_kubeconfig(folder / name))
            kube = await stack.enter_async_context(Kube(access, timeout_seconds=PATIENCE_SECONDS))
            elector = LeaderElector(kube, namespace=namespace, name="operator", identity=name, times=TIMES)
            replica = Replica(elector, proxy)
            stack.push_async_callback(replica.stop)
            made.append(replica)
        yield made


async def test_one_of_two_leads_and_a_cut_off_leader_is_replaced(
    plane: ControlPlane, tmp_path: Path, namespace: str
) -> None:
    async with replicas(plane, tmp_path, namespace, "one", "two") as both:
        await until(lambda: any(one.elector.leading for one in both), what="a leader")
        (leader,) = [one for one in both if one.elector.leading]
        (standby,) = [one for one in both if one is not leader]
        with pytest.raises(errors.NotLeader):
            standby.elector.check()
        leader.cut()

        async def taken_over() -> bool:
            assert not (leader.elector.leading and standby.elector.leading)
            return standby.elector.leading

        await until(taken_over, what="the other to lead")
        assert standby.elector.epoch == leader.elector.epoch + 1
        leader.heal()
        await until(lambda: leader.elector.holder == standby.elector.holder, what="the old one to see the new")
        assert not leader.elector.leading


async def test_a_stopped_leader_leaves_the_lease_free(
    plane: ControlPlane, kube: Kube, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RELEASE_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    async with replicas(plane, tmp_path, namespace, "one") as (one,):
        await one.leads()
        await one.stop()
        spec = (await kube.get(ObjectRef(kinds.LEASE, namespace, "operator")))["spec"]
        assert "holderIdentity" not in spec
        assert spec["leaseTransitions"] == one.elector.epoch


async def test_an_outage_beyond_the_deadline_ends_the_writing_and_not_the_process(
    plane: ControlPlane, tmp_path: Path, namespace: str
) -> None:
    async with replicas(plane, tmp_path, namespace, "one") as (one,):
        await one.leads()
        epoch = one.elector.epoch
        one.cut()
        cut_at = time.monotonic()
        await until(lambda: not one.elector.leading, what="the end")
        assert one.elector.leads_until <= cut_at + TIMES.deadline_seconds
        assert not one.task.done()
        one.heal()
        await until(lambda: one.elector.leading, what="leadership again")
        assert one.elector.epoch == epoch, "nobody led in between"


async def test_a_lease_that_somebody_deletes_is_made_again_by_its_holder(
    plane: ControlPlane, kube: Kube, tmp_path: Path, namespace: str
) -> None:
    async with replicas(plane, tmp_path, namespace, "one") as (one,):
        await one.leads()
        epoch = one.elector.epoch
        await kube.delete(ObjectRef(kinds.LEASE, namespace, "operator"))
        await until(lambda: one.elector.epoch > epoch and one.elector.leading, what="a new lease")


async def test_kubectl_shows_who_leads(plane: ControlPlane, tmp_path: Path, namespace: str) -> None:
    async with replicas(plane, tmp_path, namespace, "one") as (one,):
        await one.leads()
        command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "-n", namespace, "get", "lease", "operator"]
        shown = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
        assert shown.stdout.splitlines()[1].split()[:2] == ["operator", "one"]
