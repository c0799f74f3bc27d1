"""`wpool throttle` and `wpool restart` against a real API server: what is written is what the operator understands."""

from datetime import UTC, datetime

import pytest

from tests.support.pools import pool_body
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.oncall import annotate, slow_down
from workerpool_operator.domain.desired import RESTART_ANNOTATION
from workerpool_operator.domain.scaling import THROTTLE, Throttle, overrides
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def made(kube: Kube, body: dict[str, object]) -> ObjectRef:
    """The pool, on the server."""
    del body["metadata"]["uid"]  # type: ignore[attr-defined]
    await kube.create(body)
    return ObjectRef(kinds.WORKER_POOL, body["metadata"]["namespace"], body["metadata"]["name"])  # type: ignore[index]


async def test_a_throttle_is_written_and_taken_away(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    ref = await made(kube, pool_body("thumbs", namespace))
    said = Throttle(per_second=2.5, until=datetime(2030, 1, 31, 12, tzinfo=UTC))
    await slow_down(access, namespace, "thumbs", said)
    assert overrides((await kube.get(ref))["metadata"]["annotations"]).throttle == said
    await annotate(access, namespace, "thumbs", {RESTART_ANNOTATION: "now"})
    await slow_down(access, namespace, "thumbs", None)
    annotations = (await kube.get(ref))["metadata"]["annotations"]
    assert (THROTTLE in annotations, annotations[RESTART_ANNOTATION]) == (False, "now")


async def test_a_throttle_that_nobody_could_keep_is_not_written(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    queue = {"name": "main", "rabbitmq": {"url": "amqp://rabbit:5672/", "queue": "thumbs"}}
    ref = await made(kube, pool_body("thumbs", namespace, queues=[queue]))
    with pytest.raises(TroubleError, match="cannot keep a rate"):
        await slow_down(access, namespace, "thumbs", Throttle(per_second=1.0, until=datetime(2030, 1, 31, tzinfo=UTC)))
    assert THROTTLE not in (await kube.get(ref))["metadata"].get("annotations", {})
