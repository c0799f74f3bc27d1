"""Who has written what: the operator, a person by `wpool`, a person by the page; on a real API server."""

from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool
from tests.support.pools import pool_body
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]

OPERATOR, PERSON = "workerpool-operator", "wpool"


def written(body: dict[str, Any], path: str) -> set[str]:
    """Managers of the field at this path, such as `spec.suspend`."""
    found = set()
    for entry in body["metadata"]["managedFields"]:
        fields: Any = entry["fieldsV1"]
        for part in path.split("."):
            fields = fields.get(f"f:{part}") if fields is not None else None
        if fields is not None:
            found.add(entry["manager"])
    return found


async def test_what_a_person_writes_is_not_the_operators(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """`wpool stop`, and a command of those on call."""
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.create(pool_body(namespace=namespace))
    assert (await wpool(plane, "stop", "thumbs", "-n", namespace, "--yes")).returncode == 0
    assert (await wpool(plane, "restart", "thumbs", "-n", namespace, "--yes")).returncode == 0
    body = await kube.get(ref)
    assert written(body, "spec.suspend") == {PERSON}
    assert written(body, "metadata.annotations") == {PERSON}
    assert written(body, "spec.worker.image") == {OPERATOR}, "as the test has made it"


def config_map(namespace: str, **data: str) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": "settings"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_an_apply_of_the_operators_owns_only_its_own(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    """What a person has written stays when the operator applies, and its own is taken back from them."""
    async with Kube(access.acting_as(PERSON)) as person:
        made = config_map(namespace, ours="1", given_up="1")
        await kube.apply(made)
        ref = ObjectRef(kinds.CONFIG_MAP, namespace, "settings")
        await person.merge_patch(ref, {"data": {"theirs": "2", "ours": "2"}})
        with pytest.raises(errors.Conflict) as refused:
            await kube.apply(config_map(namespace, ours="1"), force=False)
        assert any(PERSON in cause.message for cause in refused.value.causes)
        body = await kube.apply(config_map(namespace, ours="1"))
    assert body["data"] == {"ours": "1", "theirs": "2"}
    assert (written(body, "data.ours"), written(body, "data.theirs")) == ({OPERATOR}, {PERSON})


async def test_what_an_older_release_wrote_by_one_name_is_in_nobodys_way(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    """There `wpool` was called as the operator: a person's next write, and the operator's next apply, go through."""
    ref = ObjectRef(kinds.CONFIG_MAP, namespace, "settings")
    await kube.apply(config_map(namespace, ours="1"))
    await kube.merge_patch(ref, {"data": {"theirs": "1"}})
    async with Kube(access.acting_as(PERSON)) as person:
        await person.merge_patch(ref, {"data": {"theirs": "2"}})
    body = await kube.apply(config_map(namespace, ours="2"), force=False)
    assert body["data"] == {"ours": "2", "theirs": "2"}
    assert written(body, "data.theirs") == {PERSON}
