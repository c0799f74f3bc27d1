"""Whom the front proxy speaks for, and when it is not believed."""

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from workerpool_operator.serve.external_metrics.identity import FrontProxy, User

DATA = {
    "requestheader-client-ca-file": "a certificate",
    "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
    "requestheader-username-headers": json.dumps(["X-Remote-User"]),
    "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
    "requestheader-uid-headers": json.dumps(["X-Remote-Uid"]),
    "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
}
PROXY = FrontProxy.of(DATA)
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"


def certificate(name: str = "front-proxy-client") -> dict[str, Any]:
    return {"subject": ((("organizationName", "x"),), (("commonName", name),))}


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict([("X-Remote-User", HPA), *pairs])


def test_the_proxy_names_user_groups_uid_and_extra() -> None:
    sent = headers(
        ("x-remote-group", "system:authenticated"),
        ("X-Remote-Group", "system:serviceaccounts"),
        ("X-Remote-Uid", "u-1"),
        ("X-Remote-Extra-Authentication.kubernetes.io%2Fpod-Name", "kcm-0"),
        ("X-Remote-Extra-Scopes", "a"),
        ("X-Remote-Extra-Scopes", "b"),
    )
    assert PROXY.user(certificate(), sent) == User(
        name=HPA,
        groups=("system:authenticated", "system:serviceaccounts"),
        uid="u-1",
        extra=(("authentication.kubernetes.io/pod-name", ("kcm-0",)), ("scopes", ("a", "b"))),
    )


@pytest.mark.parametrize("shown", [None, {}, certificate("admin"), {"subject": ()}])
def test_headers_without_the_proxys_certificate_are_nobodys(shown: dict[str, Any] | None) -> None:
    assert PROXY.user(shown, headers()) is None


def test_without_an_authority_no_certificate_is_believed() -> None:
    assert FrontProxy.of({**DATA, "requestheader-client-ca-file": ""}).user(certificate(), headers()) is None
    assert FrontProxy().user(certificate(), headers()) is None


def test_without_allowed_names_every_name_that_the_authority_signed_is_one() -> None:
    proxy = FrontProxy.of({**DATA, "requestheader-allowed-names": "[]"})
    assert proxy.user(certificate("anything"), headers()) is not None
    assert proxy.user({}, headers()) is None


@pytest.mark.parametrize("sent", [CIMultiDict(), CIMultiDict([("X-Remote-User", "")])])
def test_a_proxy_that_names_nobody_speaks_for_nobody(sent: CIMultiDict[str]) -> None:
    assert PROXY.user(certificate(), sent) is None


def test_the_headers_names_are_the_clusters() -> None:
    proxy = FrontProxy.of({**DATA, "requestheader-username-headers": json.dumps(["X-Who"])})
    assert proxy.user(certificate(), headers()) is None
    assert proxy.user(certificate(), CIMultiDict([("x-who", "ann")])) == User("ann", groups=("system:authenticated",))


@pytest.mark.parametrize(
    ("name", "sent", "groups"),
    [
        ("system:kube-aggregator", [], ["system:authenticated"]),
        ("ann", ["a"], ["a", "system:authenticated"]),
        ("ann", ["system:authenticated", "a"], ["system:authenticated", "a"]),
        ("ann", ["system:unauthenticated"], ["system:unauthenticated"]),
        ("system:anonymous", [], []),
    ],
)
def test_who_is_named_is_authenticated_unless_it_is_said_to_be_nobody(
    name: str, sent: list[str], groups: list[str]
) -> None:
    user = PROXY.user(certificate(), CIMultiDict([("X-Remote-User", name), *(("X-Remote-Group", one) for one in sent)]))
    assert user is not None
    assert list(user.groups) == groups


@pytest.mark.parametrize("wrong", ["X-Remote-User", '{"a": 1}', "[1]"])
def test_a_malformed_configuration_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"requestheader-username-headers|Expecting"):
        FrontProxy.of({**DATA, "requestheader-username-headers": wrong})


def test_a_configuration_may_lack_what_older_clusters_do_not_publish() -> None:
    assert FrontProxy.of({}) == FrontProxy()


def test_a_token_review_names_a_user() -> None:
    info = {"username": "ann", "uid": "1", "groups": ["a", "b"], "extra": {"z": ["1"], "k": ["2", "3"]}}
    assert User.of(info) == User(name="ann", groups=("a", "b"), uid="1", extra=(("k", ("2", "3")), ("z", ("1",))))
    assert User.of({"username": "ann"}) == User(name="ann")
    assert User.of({"groups": ["system:masters"]}) is None
