"""`wpool rollout` against a real API server: what is written is a command that the operator understands."""

import pytest

from tests.support.pools import pool_body
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.rollout.command import read, tell
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, Verb, parse
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def test_a_verb_becomes_a_command_for_the_version_that_is_tried(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    body = pool_body("thumbs", namespace, rollout={"strategy": "Canary"})
    del body["metadata"]["uid"]
    made = await kube.create(body)
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    with pytest.raises(TroubleError):
        await tell(access, namespace, "thumbs", Verb.ABORT)
    rollout = {"stable": "0a", "wanted": "0b", "canary": "0b", "step": 1}
    status = {"observedGeneration": made["metadata"]["generation"], "rollout": rollout}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    said = await tell(access, namespace, "thumbs", Verb.ABORT)
    found = parse((await kube.get(ref))["metadata"]["annotations"][COMMAND_ANNOTATION])
    assert found is not None
    assert (found.verb, found.version) == (Verb.ABORT, "0b")
    assert said.endswith(found.id)
    assert (await read(access, namespace, "thumbs"))["stable"] == "0a"
