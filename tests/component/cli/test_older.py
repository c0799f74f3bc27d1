"""An operator that is older than this command, at a real API server: a sentence that says so, and what to do."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import Shown, deployed_operator, of_somebody, wpool
from tests.support.crds import CRDS, KubectlError, kubectl
from tests.support.pools import pool_body
from workerpool_operator import __version__
from workerpool_operator.cli.rollout import command as rollout_command
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

UNKNOWN = ("spec/suspend", "spec/placement", "spec/rollout", "status/placement", "status/rollout")
"""Fields that the definition in the cluster does not have yet."""
OLDER = "the resource definition in this cluster is older than this wpool"
DEFINITION = "The resource definition in this cluster is older than this wpool: it lacks spec.placement"
DO = "Apply crds/ of this release and upgrade the operator"


@pytest.fixture(scope="class")
def older_definition(plane: ControlPlane, crds: None) -> Iterator[None]:
    """The cluster has one that lacks fields, and everybody can see that."""
    at = "/spec/versions/0/schema/openAPIV3Schema/properties"
    paths = [f"{at}/{'/properties/'.join(field.split('/'))}" for field in UNKNOWN]
    patch = json.dumps([{"op": "remove", "path": path} for path in paths])
    kubectl(plane, "patch", "crd", "workerpools.workerpool.dev", "--type=json", "-p", patch)
    wait_until(
        lambda: _published(plane, "suspend") is False and not _taken(plane, suspend=True),
        seconds=60,
        what="the older definition",
    )
    yield
    kubectl(plane, "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))


@pytest.fixture(scope="class")
def this_definition(plane: ControlPlane, crds: None) -> None:
    """The cluster has that of this release, and everybody can see that."""
    wait_until(lambda: _published(plane, "suspend") is True, seconds=60, what="the definition of this release")


def _published(plane: ControlPlane, field: str) -> bool | None:
    """Whether the schema that is published has this field of spec; None: none is published."""
    with suppress(KubectlError):
        told = json.loads(kubectl(plane, "get", "--raw", "/openapi/v3/apis/workerpool.dev/v1alpha1"))
        pool = told["components"]["schemas"].get("dev.workerpool.v1alpha1.WorkerPool", {})
        return field in pool.get("properties", {}).get("spec", {}).get("properties", {})
    return None


def _taken(plane: ControlPlane, **spec: Any) -> bool:
    """Whether a pool with these fields would be."""
    body = json.dumps(pool_body(namespace="default", **spec))
    try:
        kubectl(plane, "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=body)
    except KubectlError:
        return False
    return True


@pytest_asyncio.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    """One that an operator of then has seen."""
    await kube.create(pool_body(namespace=namespace))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"observedGeneration": 1, "replicas": 1}}, subresource="status")
    return ref


@pytest_asyncio.fixture
async def older_operator(kube: Kube, namespace: str) -> AsyncIterator[str]:
    """Its Deployment, as an earlier chart has made it; its name."""
    async with deployed_operator(kube, namespace, release="0.0.9") as name:
        yield name


def words_of(shown: Shown) -> str:
    """What it has said on stderr, on one line."""
    return " ".join(shown.stderr.split())


@pytest.mark.usefixtures("older_definition")
class TestDefinition:
    """Without what this command writes or shows."""

    @pytest.mark.parametrize(
        ("words", "field"),
        [
            (["stop", "thumbs", "--yes"], "spec.suspend"),
            (["start", "thumbs"], "spec.suspend"),
            (["drain", "thumbs", "--yes"], "spec.suspend"),
            (["reassign", "thumbs", "--primary", "zone=a", "--yes"], "spec.placement"),
        ],
        ids=lambda one: " ".join(one) if isinstance(one, list) else one,
    )
    async def test_what_it_has_no_field_for_is_not_dropped_without_a_word(
        self, plane: ControlPlane, kube: Kube, pool: ObjectRef, words: list[str], field: str
    ) -> None:
        """Nothing is written, and nobody believes that it was."""
        before = (await kube.get(pool))["metadata"]["resourceVersion"]
        shown = await wpool(plane, *words, "-n", pool.namespace)
        assert (shown.returncode, shown.stdout) == (3, "")
        assert f"nothing was written: {OLDER}, and has no {field}." in words_of(shown)
        assert DO in words_of(shown)
        assert (await kube.get(pool))["metadata"]["resourceVersion"] == before

    @pytest.mark.parametrize("words", [["throttle", "thumbs", "5"], ["restart", "thumbs", "--yes"]], ids=" ".join)
    async def test_what_is_written_as_an_annotation_is_said_to_be_in_doubt(
        self, plane: ControlPlane, pool: ObjectRef, operator: str, words: list[str]
    ) -> None:
        """Such an operator may act on it, or not."""
        shown = await wpool(plane, *words, "-n", pool.namespace)
        assert shown.returncode == 0
        assert DEFINITION in words_of(shown)
        assert DO in words_of(shown)

    async def test_who_may_do_no_more_than_use_pools_is_told_too(
        self, plane: ControlPlane, pool: ObjectRef, tmp_path: Path
    ) -> None:
        """They may neither read definitions, nor see where the operator runs."""
        own = of_somebody(plane, pool.namespace, tmp_path, verbs="get,list,watch,patch", resource="workerpools")
        shown = await wpool(plane, "restart", "thumbs", "--yes", kubeconfig=own)
        assert shown.returncode == 0
        assert DEFINITION in words_of(shown)

    async def test_what_cannot_be_done_for_want_of_a_field_says_why(self, plane: ControlPlane, pool: ObjectRef) -> None:
        """The remedy that is right elsewhere would lead nowhere here."""
        shown = await wpool(plane, "migrate", "thumbs", "--to", "secondary", "--yes", "-n", pool.namespace)
        assert shown.returncode == 3
        assert "has no secondary place" in words_of(shown)
        assert DEFINITION in words_of(shown)

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["get"], 0),
            (["get", "thumbs", "-o", "wide"], 0),
            (["describe", "thumbs"], 0),
            (["explain", "thumbs"], 0),
            (["events", "thumbs"], 1),
            (["top"], 0),
            (["top", "thumbs"], 1),
            (["checklist", "thumbs"], 1),
            (["rollout", "get", "thumbs"], 1),
            (["rollout", "history", "thumbs"], 1),
        ],
        ids=lambda one: " ".join(one) if isinstance(one, list) else str(one),
    )
    async def test_what_it_does_not_tell_is_left_out(
        self, plane: ControlPlane, pool: ObjectRef, words: list[str], code: int
    ) -> None:
        """Commands that look go on working; none ends in a traceback."""
        shown = await wpool(plane, *words, "-n", pool.namespace)
        assert shown.returncode == code, shown.stderr

    async def test_doctor_says_what_it_lacks(self, plane: ControlPlane, pool: ObjectRef, older_operator: str) -> None:
        """With the remedy; and that the operator is of another release."""
        shown = await wpool(plane, "doctor", "--namespace", pool.namespace, "--json")
        assert shown.returncode == 1
        found: dict[str, Any] = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
        definition = found["resource definition"]
        assert definition["level"] == "bad"
        assert definition["text"].startswith("older than this command: it lacks spec.placement")
        assert "apply crds/" in definition["remedy"]


class TestRules:
    """A definition with the fields of this release, and other rules: as one that was edited by hand."""

    async def test_doctor_compares_more_than_fields(
        self, plane: ControlPlane, pool: ObjectRef, operator: str, this_definition: None
    ) -> None:
        at = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"
        patch = json.dumps([{"op": "remove", "path": at}])
        kubectl(plane, "patch", "crd", "workerpools.workerpool.dev", "--type=json", "-p", patch)
        try:
            shown = await wpool(plane, "doctor", "--namespace", pool.namespace, "--json")
        finally:
            kubectl(plane, "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
        found: dict[str, Any] = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
        definition = found["resource definition"]
        assert definition["level"] == "bad"
        assert "asks something else of them: it lacks (spec: rule " in definition["text"]


@pytest.mark.usefixtures("this_definition")
class TestOperator:
    """Whose definitions were upgraded, and itself was not."""

    async def test_what_it_may_not_know_is_said_to_be_in_doubt(
        self, plane: ControlPlane, pool: ObjectRef, older_operator: str
    ) -> None:
        for words in (["stop", "thumbs", "--yes"], ["start", "thumbs"], ["restart", "thumbs", "--yes"]):
            shown = await wpool(plane, *words, "-n", pool.namespace)
            assert shown.returncode == 0
            said = f"({older_operator}) is release 0.0.9, older than this wpool ({__version__})"
            assert f"The operator in this cluster {said}" in words_of(shown)

    async def test_one_that_does_not_answer_may_be_too_old_to(
        self,
        plane: ControlPlane,
        kube: Kube,
        pool: ObjectRef,
        older_operator: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(rollout_command, "ANSWER_SECONDS", 0.2)
        status = {"rollout": {"stable": "0a", "wanted": "0b", "canary": "0b", "step": 1}}
        await kube.merge_patch(pool, {"status": status}, subresource="status")
        shown = await wpool(plane, "rollout", "abort", "thumbs", "--yes", "-n", pool.namespace)
        assert shown.returncode == 5
        assert "does the operator run? The operator in this cluster" in words_of(shown)

    async def test_one_of_this_release_is_not_talked_about(
        self, plane: ControlPlane, pool: ObjectRef, operator: str
    ) -> None:
        for words in (["stop", "thumbs", "--yes"], ["start", "thumbs"], ["restart", "thumbs", "--yes"]):
            assert (await wpool(plane, *words, "-n", pool.namespace)).stderr == ""
