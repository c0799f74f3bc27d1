"""`wpool rollout` against a real API server: what is written is a command that the operator understands."""

import asyncio
from typing import Any

import pytest

from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli.cluster import TroubleError, pool_of
from workerpool_operator.cli.rollout import ask
from workerpool_operator.cli.rollout.ask import NotInTimeError, RefusedError
from workerpool_operator.cli.rollout.state import End, rollout_of
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, Verb, parse
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


@pytest.fixture
async def generation(kube: Kube, namespace: str) -> int:
    """Of a pool that tries versions."""
    body = pool_body("thumbs", namespace, rollout={"strategy": "Canary"})
    del body["metadata"]["uid"]
    made = await kube.create(body)
    return int(made["metadata"]["generation"])


async def say(kube: Kube, namespace: str, generation: int, **rollout: Any) -> None:
    """Write the status as the operator does."""
    status = {"observedGeneration": generation, "rollout": rollout}
    await kube.merge_patch(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"), {"status": status}, subresource="status")


async def test_a_verb_becomes_a_command_for_the_version_that_is_tried(
    access: ClusterAccess, kube: Kube, namespace: str, generation: int
) -> None:
    with pytest.raises(TroubleError):
        await ask.tell(access, namespace, "thumbs", Verb.ABORT)
    await say(kube, namespace, generation, stable="0a", wanted="0b", canary="0b", step=1)
    told = await ask.tell(access, namespace, "thumbs", Verb.ABORT)
    body = await pool_of(access, namespace, "thumbs")
    found = parse(body["metadata"]["annotations"][COMMAND_ANNOTATION])
    assert found is not None
    assert (found.verb, found.version, found.id) == (Verb.ABORT, "0b", told.id)
    assert rollout_of(body)["stable"] == "0a"


async def test_a_command_that_somebody_writes_over_is_not_waited_for(
    access: ClusterAccess, kube: Kube, namespace: str, generation: int
) -> None:
    """As by a button of the page: the operator reads one, and nobody would ever answer the other."""
    await say(kube, namespace, generation, stable="0a", wanted="0b", canary="0b", step=1)
    mine = await ask.tell(access, namespace, "thumbs", Verb.PAUSE)
    waiting = asyncio.create_task(ask.wait_for_answer(access, namespace, "thumbs", command=mine.id, seconds=60))
    await ask.tell(access, namespace, "thumbs", Verb.ABORT)
    with pytest.raises(NotInTimeError, match=r"written another command over it \(abort for version 0b\)"):
        await waiting


async def test_the_answer_to_a_command_is_waited_for(
    access: ClusterAccess, kube: Kube, namespace: str, generation: int
) -> None:
    with pytest.raises(NotInTimeError, match="does the operator run"):
        await ask.wait_for_answer(access, namespace, "thumbs", command="7", seconds=0.2)
    waiting = asyncio.create_task(ask.wait_for_answer(access, namespace, "thumbs", command="7", seconds=30))
    await say(kube, namespace, generation, stable="0a", commandId="7")
    assert (await waiting)["stable"] == "0a"
    await say(kube, namespace, generation, stable="0a", commandId="8", commandRefused=True)
    with pytest.raises(RefusedError):
        await ask.wait_for_answer(access, namespace, "thumbs", command="8", seconds=30)


@pytest.mark.usefixtures("operator")
async def test_the_end_of_a_rollout_is_waited_for(
    access: ClusterAccess, kube: Kube, namespace: str, generation: int
) -> None:
    await say(kube, namespace, generation, stable="0a", wanted="0b", canary="0b", step=1, verdict="Inconclusive")

    async def told_where_it_is() -> bool:
        with pytest.raises(NotInTimeError) as late:
            await ask.wait_for_end(access, namespace, "thumbs", seconds=0.5)
        return "step 1, Inconclusive" in str(late.value)

    await until(told_where_it_is, what="a look at the pool within half a second")
    waiting = asyncio.create_task(ask.wait_for_end(access, namespace, "thumbs", seconds=30))
    await say(kube, namespace, generation, stable="0b", wanted="0b", canary="")
    assert await waiting is End.PROMOTED


async def test_of_a_rolling_pool_no_end_is_waited_for(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    body = pool_body("rolling", namespace, rollout={"strategy": "Rolling"})
    del body["metadata"]["uid"]
    await kube.create(body)
    with pytest.raises(TroubleError, match="strategy to Canary"):
        await ask.wait_for_end(access, namespace, "rolling", seconds=30)
    with pytest.raises(errors.NotFound):
        await ask.wait_for_end(access, namespace, "none", seconds=30)
    assert await ask.known(access, namespace, "rolling") == []
