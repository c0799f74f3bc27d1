"""What the builders make, on a real API server: accepted, restricted enough, and stable once it is there."""

import json
import secrets
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import KubectlError, kubectl
from tests.support.pools import pool_body
from tests.support.quantities import KEPT, SPELLINGS
from tests.support.rich_pool import QUEUES, SIDECARS, WORKER
from tests.support.waiting import until
from workerpool_operator.api import WorkerPool, parse
from workerpool_operator.domain import desired
from workerpool_operator.domain.desired.quantity import canonical
from workerpool_operator.domain.drift import covers
from workerpool_operator.kube import Kube, errors, kinds, ref_of
from workerpool_operator.kube.kinds import ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

SETTINGS = desired.CollectorSettings(
    image="registry.example/operator:0.1.0",
    image_pull_policy="IfNotPresent",
    replicas=2,
    operator_stream="workerpool-operator-stream.workerpool-system.svc:8443",
    ca_pem="-----BEGIN CERTIFICATE-----\n",
)
SPECS: dict[str, dict[str, Any]] = {
    "smallest": {},
    "rich": {"worker": WORKER, "queues": QUEUES},
    "sidecars": {"worker": WORKER | {"sidecars": SIDECARS}},
}
each_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


@pytest.fixture(scope="module", autouse=True)
def priority_class(plane: ControlPlane) -> None:
    """The priority class that the rich pool names."""
    high = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 10,
    }
    kubectl(plane, "apply", "--server-side", "-f", "-", stdin=json.dumps(high))


@pytest.fixture
async def restricted(kube: Kube) -> str:
    """A namespace that enforces Pod Security `restricted`, ready for pods."""
    name = f"restricted-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    async def has_account() -> bool:
        try:
            await kube.get(ObjectRef(kinds.SERVICE_ACCOUNT, name, "default"))
        except errors.NotFound:
            return False
        return True

    await until(has_account, what="the default service account")
    return name


async def stored_pool(kube: Kube, namespace: str, name: str = "thumbs", **spec: Any) -> WorkerPool:
    body = pool_body(name, namespace, **spec)
    del body["metadata"]["uid"]
    return parse(await kube.create(body))


def objects_of(pool: WorkerPool, *, replicas: int = 0) -> list[dict[str, Any]]:
    """Everything that is made for one pool."""
    revision = desired.revision_for(pool)
    template = desired.stored_template(revision.body)
    return [
        dict(revision.body),
        desired.deployment(pool, name=revision.name, template=template, replicas=replicas),
        desired.disruption_budget(pool),
        desired.autoscaler(pool, exact=True),
    ]


def collector_of(*pools: WorkerPool) -> list[dict[str, Any]]:
    return list(desired.collector(pools[0].namespace, pools=pools, settings=SETTINGS))


async def assert_stable(kube: Kube, body: Mapping[str, Any]) -> None:
    """Applied, it looks as it should; applied again, nothing changes; and no field was dropped on the way."""
    first = await kube.apply(dict(body))
    assert covers(first, body), f"{body['kind']} is stored in another spelling"
    again = await kube.apply(dict(body))
    assert covers(again, body)
    # Controllers write status and annotations of some kinds in between, which changes the resourceVersion.
    assert again["metadata"].get("generation") == first["metadata"].get("generation")
    assert {**again, "metadata": {}, "status": {}} == {**first, "metadata": {}, "status": {}}


def admit(plane: ControlPlane, namespace: str, template: Mapping[str, Any]) -> None:
    """Have the API server judge a pod of this template, Pod Security included, without making it.

    Raises:
        KubectlError: refused.
    """
    body = {"apiVersion": "v1", "kind": "Pod", **template}
    body["metadata"] = {**template["metadata"], "name": "judged", "namespace": namespace}
    kubectl(plane, "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(body))


@each_spec
async def test_a_pools_objects_are_stable_once_applied(kube: Kube, namespace: str, spec: dict[str, Any]) -> None:
    for body in objects_of(await stored_pool(kube, namespace, **spec)):
        await assert_stable(kube, body)


@each_spec
async def test_a_deployment_in_a_place_is_stable_once_applied_and_so_is_the_one_beside_it(
    kube: Kube, namespace: str, spec: dict[str, Any]
) -> None:
    pool = await stored_pool(kube, namespace, **spec)
    revision = desired.revision_for(pool)
    for selector in ({}, {"topology.kubernetes.io/zone": "west-1", "disk": ""}):
        template = desired.placed(desired.stored_template(revision.body), selector)
        name = desired.deployment_name(revision.name, desired.place_key(selector))
        await assert_stable(kube, desired.deployment(pool, name=name, template=template, replicas=0))


async def test_a_collectors_objects_are_stable_once_applied(kube: Kube, namespace: str) -> None:
    pools = [await stored_pool(kube, namespace), await stored_pool(kube, namespace, "rich", **SPECS["rich"])]
    for body in collector_of(*pools):
        await assert_stable(kube, body)


@each_spec
async def test_no_field_is_one_that_the_server_does_not_know(
    plane: ControlPlane, kube: Kube, namespace: str, spec: dict[str, Any]
) -> None:
    pool = await stored_pool(kube, namespace, **spec)
    for body in [*objects_of(pool), *collector_of(pool)]:
        kubectl(plane, "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(body))


@each_spec
async def test_a_worker_is_admitted_where_restricted_is_enforced(
    plane: ControlPlane, kube: Kube, restricted: str, spec: dict[str, Any]
) -> None:
    pool = await stored_pool(kube, restricted, **spec)
    template = desired.stored_template(desired.revision_for(pool).body)
    admit(plane, restricted, template)
    hardening = {**template["spec"], "securityContext": {}}
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        admit(plane, restricted, {**template, "spec": hardening})


async def test_a_collector_is_admitted_where_restricted_is_enforced(
    plane: ControlPlane, kube: Kube, restricted: str
) -> None:
    account, *_, deployment = collector_of(await stored_pool(kube, restricted, **SPECS["rich"]))
    await kube.apply(account)
    admit(plane, restricted, deployment["spec"]["template"])


async def test_the_longest_pool_name_makes_objects_and_pods(kube: Kube, restricted: str) -> None:
    pool = await stored_pool(kube, restricted, "p" * 47)
    for body in objects_of(pool, replicas=1):
        await kube.apply(body)

    async def has_pod() -> bool:
        listed = await kube.list(kinds.POD, namespace=restricted, label_selector=desired.selector(pool)).all()
        return len(listed) == 1

    await until(has_pod, what="a pod of the Deployment")


async def test_two_versions_live_beside_each_other_under_one_budget(kube: Kube, restricted: str) -> None:
    first = await stored_pool(kube, restricted)
    changed = first.changed(spec=first.spec.changed(worker=first.spec.worker.changed(image="thumbs:2")))
    for body in [*objects_of(first, replicas=2), *objects_of(changed, replicas=1)]:
        await kube.apply(body)
    budget = ObjectRef(kinds.POD_DISRUPTION_BUDGET, restricted, "thumbs")

    async def counts_all() -> bool:
        return bool((await kube.get(budget)).get("status", {}).get("expectedPods") == 3)

    await until(counts_all, what="a budget over the pods of both versions")


@pytest.mark.timeout(300)
async def test_with_the_pool_go_its_objects_and_with_the_last_pool_the_collector(kube: Kube, namespace: str) -> None:
    """Kubernetes does it, so it also happens while no operator runs.

    Its garbage collector looks only every half a minute which kinds there are, and these are new.
    """
    first, second = [await stored_pool(kube, namespace, name) for name in ("first", "second")]
    own = [ref_of(await kube.apply(body)) for body in objects_of(first)]
    shared = [ref_of(await kube.apply(body)) for body in collector_of(first, second)]

    async def gone(refs: list[ObjectRef]) -> bool:
        for ref in refs:
            try:
                await kube.get(ref)
            except errors.NotFound:
                continue
            return False
        return True

    await kube.delete(ObjectRef(kinds.WORKER_POOL, namespace, "first"), propagation="Background")
    await until(lambda: gone(own), seconds=120, what="the end of the first pool's objects")
    for ref in shared:
        await kube.get(ref)
    await kube.delete(ObjectRef(kinds.WORKER_POOL, namespace, "second"), propagation="Background")
    await until(lambda: gone(shared), seconds=120, what="the end of the collector")


async def test_the_collector_follows_pools_that_come_and_go(kube: Kube, namespace: str) -> None:
    """Whatever the order in which they come, what is stored is what was wanted: nothing is applied for ever."""
    spec = SPECS["rich"]
    a, b, c = [await stored_pool(kube, namespace, name, **spec) for name in ("a", "b", "c")]
    for pools in ((b,), (a, b), (a, b, c), (a, c), (a, b, c), (c,)):
        for body in collector_of(*pools):
            stored = await kube.apply(body)
            assert [owner["name"] for owner in stored["metadata"]["ownerReferences"]] == [pool.name for pool in pools]
            assert covers(stored, body)


@pytest.mark.parametrize("written", [SPELLINGS.keys(), SPELLINGS.values(), KEPT.values()], ids=["any", "own", "kept"])
async def test_amounts_are_spelled_as_this_server_spells_them(
    plane: ControlPlane, kube: Kube, namespace: str, written: Collection[str]
) -> None:
    """What is rendered comes back unchanged: else a pool would look different from its Deployment for ever."""
    body = objects_of(await stored_pool(kube, namespace))[1]
    body = json.loads(json.dumps(body))
    volumes = body["spec"]["template"]["spec"]["volumes"]
    volumes += [{"name": f"v{number}", "emptyDir": {"sizeLimit": amount}} for number, amount in enumerate(written)]
    shown = kubectl(plane, "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(body))
    stored = json.loads(shown)["spec"]["template"]["spec"]["volumes"]
    spelled = [volume["emptyDir"]["sizeLimit"] for volume in stored if volume["name"].startswith("v")]
    assert spelled == [canonical(amount) for amount in written]
