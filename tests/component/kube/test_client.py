"""The client against a real API server: what it does with objects, and what each refusal becomes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.waiting import until
from workerpool_operator.kube import Kube, errors, kinds, ref_of
from workerpool_operator.kube.kinds import Kind, ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

RESOURCE_QUOTA = Kind("", "v1", "resourcequotas", "ResourceQuota")


def config_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def deployment(namespace: str, *, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": "sleeper"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "sleeper"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "sleeper:1"}]},
            },
        },
    }


async def test_apply_creates_and_then_updates(kube: Kube, namespace: str) -> None:
    created = await kube.apply(config_map(namespace, colour="red"))
    updated = await kube.apply(config_map(namespace, colour="blue"))
    assert updated["metadata"]["uid"] == created["metadata"]["uid"]
    assert (await kube.get(ref_of(updated)))["data"] == {"colour": "blue"}


async def test_apply_of_the_same_object_again_is_no_change(kube: Kube, namespace: str) -> None:
    first = await kube.apply(config_map(namespace, colour="red"))
    second = await kube.apply(config_map(namespace, colour="red"))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_apply_leaves_the_fields_of_others_and_takes_its_own_back(kube: Kube, namespace: str) -> None:
    applied = await kube.apply(deployment(namespace, replicas=2))
    foreign = {"metadata": {"annotations": {"team": "blue"}}, "spec": {"replicas": 7}}
    await _patch_as("somebody", kube, ref_of(applied), foreign)

    again = await kube.apply(deployment(namespace, replicas=2))

    assert again["spec"]["replicas"] == 2
    assert again["metadata"]["annotations"]["team"] == "blue"


async def test_apply_gives_up_a_field_that_it_omits(kube: Kube, namespace: str) -> None:
    await kube.apply(config_map(namespace, colour="red", size="big"))
    assert (await kube.apply(config_map(namespace, colour="red")))["data"] == {"colour": "red"}


async def test_apply_without_force_names_the_field_and_its_owner(kube: Kube, namespace: str) -> None:
    applied = await kube.apply(config_map(namespace, colour="red"))
    await _patch_as("somebody", kube, ref_of(applied), {"data": {"colour": "green"}})
    with pytest.raises(errors.Conflict) as caught:
        await kube.apply(config_map(namespace, colour="blue"), force=False)
    assert [(cause.field, "somebody" in cause.message) for cause in caught.value.causes] == [(".data.colour", True)]


async def test_apply_to_the_status_subresource_leaves_the_spec_alone(kube: Kube, namespace: str) -> None:
    await kube.apply(deployment(namespace, replicas=3))
    status = {**deployment(namespace), "spec": {}, "status": {"observedGeneration": 1, "replicas": 3}}
    del status["spec"]
    answer = await kube.apply(status, subresource="status")
    assert (answer["status"]["replicas"], answer["spec"]["replicas"]) == (3, 3)


async def test_create_of_a_name_that_is_taken(kube: Kube, namespace: str) -> None:
    await kube.create(config_map(namespace))
    with pytest.raises(errors.AlreadyExists):
        await kube.create(config_map(namespace))


async def test_a_patch_with_an_old_resource_version_is_refused(kube: Kube, namespace: str) -> None:
    old = await kube.apply(config_map(namespace, colour="red"))
    await kube.apply(config_map(namespace, colour="blue"))
    with pytest.raises(errors.Conflict):
        await kube.merge_patch(
            ref_of(old), {"data": {"colour": "green"}}, resource_version=old["metadata"]["resourceVersion"]
        )


@pytest.mark.parametrize("write", ["patch", "apply", "delete"])
async def test_a_write_for_another_object_of_that_name_is_refused(kube: Kube, namespace: str, write: str) -> None:
    old = await kube.apply(config_map(namespace, colour="red"))
    ref, uid = ref_of(old), old["metadata"]["uid"]
    await kube.delete(ref)
    await kube.apply(config_map(namespace, colour="blue"))
    aimed = config_map(namespace, colour="green")
    aimed["metadata"]["uid"] = uid
    writes: dict[str, Callable[[], Awaitable[object]]] = {
        "patch": lambda: kube.merge_patch(ref, {"data": {"colour": "green"}}, uid=uid),
        "apply": lambda: kube.apply(aimed),
        "delete": lambda: kube.delete(ref, uid=uid),
    }
    with pytest.raises(errors.Conflict):
        await writes[write]()
    assert (await kube.get(ref))["data"] == {"colour": "blue"}


async def test_apply_with_a_uid_does_not_make_a_deleted_object_anew(kube: Kube, namespace: str) -> None:
    old = await kube.apply(config_map(namespace, colour="red"))
    await kube.delete(ref_of(old))
    aimed = config_map(namespace, colour="green")
    aimed["metadata"]["uid"] = old["metadata"]["uid"]
    with pytest.raises(errors.Conflict):
        await kube.apply(aimed)
    with pytest.raises(errors.NotFound):
        await kube.get(ref_of(old))


async def test_matching_preconditions_let_writes_through(kube: Kube, namespace: str) -> None:
    applied = await kube.apply(config_map(namespace, colour="red"))
    ref, metadata = ref_of(applied), applied["metadata"]
    patched = await kube.merge_patch(
        ref, {"data": {"colour": "green"}}, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
    )
    assert patched["data"] == {"colour": "green"}
    await kube.delete(ref, uid=metadata["uid"], resource_version=patched["metadata"]["resourceVersion"])
    with pytest.raises(errors.NotFound):
        await kube.get(ref)


async def test_deleting_what_is_gone_is_fine(kube: Kube, namespace: str) -> None:
    await kube.delete(ObjectRef(kinds.CONFIG_MAP, namespace, "never-there"))


async def test_deleting_in_the_background_takes_the_dependents_too(kube: Kube, namespace: str) -> None:
    owner = await kube.apply(config_map(namespace, "owner"))
    child = config_map(namespace, "child")
    child["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    ]
    await kube.apply(child)
    await kube.delete(ref_of(owner))

    async def gone() -> bool:
        listing = kube.list(kinds.CONFIG_MAP, namespace=namespace, field_selector="metadata.name=child")
        return not await listing.all()

    await until(gone, seconds=60, what="the dependent's end")


async def test_not_found_and_a_kind_that_is_not_served(kube: Kube, namespace: str) -> None:
    with pytest.raises(errors.NotFound) as missing:
        await kube.get(ObjectRef(kinds.CONFIG_MAP, namespace, "nothing"))
    assert not isinstance(missing.value, errors.KindNotServed)
    rules = Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule")
    with pytest.raises(errors.KindNotServed):
        await kube.get(ObjectRef(rules, namespace, "pool"))
    with pytest.raises(errors.KindNotServed):
        await kube.list(rules, namespace=namespace).all()


async def test_writing_into_a_namespace_that_is_not_there(kube: Kube) -> None:
    with pytest.raises(errors.NotFound) as caught:
        await kube.apply(config_map("no-such-namespace"))
    assert not isinstance(caught.value, errors.KindNotServed)


async def test_an_invalid_object_names_its_fields(kube: Kube, namespace: str) -> None:
    broken = deployment(namespace, replicas=-1)
    with pytest.raises(errors.Invalid) as caught:
        await kube.apply(broken)
    assert [cause.field for cause in caught.value.causes] == ["spec.replicas"]
    assert not caught.value.retryable


async def test_a_field_that_does_not_exist_is_invalid(kube: Kube, namespace: str) -> None:
    broken = deployment(namespace)
    broken["spec"]["replica"] = 2
    with pytest.raises(errors.KubeError, match="replica"):
        await kube.apply(broken)


async def test_a_field_that_does_not_exist_is_dropped_or_refused_as_is_asked(kube: Kube, namespace: str) -> None:
    """By default an object may be ahead of the server; who means the field has it refused, and nothing written."""
    await kube.create({**config_map(namespace), "later": {}})
    body = deployment(namespace)
    body["spec"]["later"] = True
    with pytest.raises(errors.UnknownField, match=r"spec\.later"):
        await kube.create(body, strict=True)
    made = await kube.create(deployment(namespace), strict=True)
    patch = {"spec": {"replicas": 5, "later": True}}
    with pytest.raises(errors.UnknownField, match=r"spec\.later"):
        await kube.merge_patch(ref_of(made), patch, strict=True)
    assert (await kube.get(ref_of(made)))["spec"]["replicas"] == 1
    assert (await kube.merge_patch(ref_of(made), patch))["spec"]["replicas"] == 5


async def test_a_full_quota_has_an_error_of_its_own(kube: Kube, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"namespace": namespace, "name": "few"},
        "spec": {"hard": {"count/deployments.apps": "0"}},
    }
    await _post(kube, RESOURCE_QUOTA, namespace, quota)

    async def counted() -> bool:
        return "hard" in (await kube.get(ObjectRef(RESOURCE_QUOTA, namespace, "few"))).get("status", {})

    await until(counted, seconds=60, what="the quota's status")

    async def refused() -> bool:
        try:
            await kube.create(deployment(namespace), dry_run=True)
        except errors.QuotaExceeded:
            return True
        return False

    # Admission hears of quotas by a watch of its own, and remembers for half a minute that there were none.
    await until(refused, what="a quota that counts")
    with pytest.raises(errors.QuotaExceeded, match="few"):
        await kube.apply(deployment(namespace))


async def test_writing_into_a_namespace_that_is_being_deleted(kube: Kube, namespace: str) -> None:
    held = config_map(namespace, "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    applied = await kube.apply(held)
    await kube.delete(ObjectRef(kinds.NAMESPACE, "", namespace))
    try:
        with pytest.raises(errors.NamespaceTerminating):
            await kube.apply(config_map(namespace, "late"))
    finally:
        await kube.merge_patch(ref_of(applied), {"metadata": {"finalizers": None}})


async def test_pages_together_are_the_whole_list(kube: Kube, namespace: str) -> None:
    names = {f"item-{number}" for number in range(7)}
    await asyncio.gather(*(kube.apply(config_map(namespace, name)) for name in names))
    listing = kube.list(kinds.CONFIG_MAP, namespace=namespace, label_selector="", chunk=3)
    seen = [obj async for obj in listing]
    found = [ref_of(obj).name for obj in seen]
    assert len(found) == len(set(found))
    assert names <= set(found)
    assert int(listing.resource_version) >= max(int(obj["metadata"]["resourceVersion"]) for obj in seen)


async def test_a_label_selector_selects(kube: Kube, namespace: str) -> None:
    labelled = config_map(namespace, "mine")
    labelled["metadata"]["labels"] = {"workerpool.dev/pool": "thumbs"}
    await kube.apply(labelled)
    await kube.apply(config_map(namespace, "other"))
    listing = kube.list(kinds.CONFIG_MAP, namespace=namespace, label_selector="workerpool.dev/pool=thumbs")
    assert [ref_of(obj).name for obj in await listing.all()] == ["mine"]


async def _patch_as(manager: str, kube: Kube, ref: ObjectRef, patch: dict[str, Any]) -> None:
    """A merge patch by a foreign field manager."""
    await kube._ask(
        "patch",
        ref.kind,
        ref.path(),
        query={"fieldManager": manager},
        body=patch,
        content_type="application/merge-patch+json",
        what=str(ref),
    )


async def _post(kube: Kube, kind: Kind, namespace: str, obj: dict[str, Any]) -> None:
    """Create an object of a kind that the operator itself never writes."""
    await kube._ask("create", kind, kind.path(namespace=namespace), body=obj, what=str(kind))


async def test_the_server_says_which_kubernetes_it_is(kube: Kube) -> None:
    version = await kube.server_version()
    assert version is not None
    assert version >= (1, 35)


async def test_the_server_publishes_what_it_takes(kube: Kube) -> None:
    schema = await kube.published(kinds.POD)
    assert {"spec", "status"} <= schema["properties"].keys()
    assert "spec" in (await kube.published(kinds.DEPLOYMENT))["properties"]
    with pytest.raises(errors.NotFound):
        await kube.published(Kind("", "v1", "ghosts", "Ghost"))
    with pytest.raises(errors.KindNotServed):
        await kube.published(Kind("nobody.example", "v1", "ghosts", "Ghost"))
