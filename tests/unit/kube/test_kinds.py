"""URLs and references."""

import pytest

from workerpool_operator.kube import kinds
from workerpool_operator.kube.kinds import ObjectRef, kind_of, ref_of


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (kinds.POD.path(), "/api/v1/pods"),
        (kinds.POD.path(namespace="a", name="b"), "/api/v1/namespaces/a/pods/b"),
        (kinds.NODE.path(namespace="a", name="b"), "/api/v1/nodes/b"),
        (
            kinds.WORKER_POOL.path(namespace="a", name="b", subresource="status"),
            "/apis/workerpool.dev/v1alpha1/namespaces/a/workerpools/b/status",
        ),
    ],
)
def test_a_path(path: str, wanted: str) -> None:
    assert path == wanted


def test_a_name_cannot_lead_elsewhere() -> None:
    assert (
        kinds.POD.path(namespace="a", name="../secrets/x?y#z") == "/api/v1/namespaces/a/pods/..%2Fsecrets%2Fx%3Fy%23z"
    )


def test_an_object_says_what_it_is() -> None:
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "a", "name": "b"}}
    assert ref_of(obj) == ObjectRef(kinds.DEPLOYMENT, "a", "b")
    assert str(ref_of(obj)) == "Deployment a/b"


def test_a_secret_is_none_of_the_operators_business() -> None:
    with pytest.raises(LookupError, match="Secret"):
        kind_of({"apiVersion": "v1", "kind": "Secret"})


def test_every_kind_is_found_by_its_name() -> None:
    for kind in kinds.KINDS:
        assert kind_of({"apiVersion": kind.api_version, "kind": kind.kind}) is kind
