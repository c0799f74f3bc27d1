"""Whom a token review vouches for."""

from typing import Any

import pytest

from workerpool_operator.kube.review import Identity, identity_of, user_of

AUDIENCE = "workerpool-operator"


def status(**changes: Any) -> dict[str, Any]:
    extra = {
        "authentication.kubernetes.io/pod-name": ["collector-0"],
        "authentication.kubernetes.io/pod-uid": ["uid-0"],
    }
    user = {"username": "system:serviceaccount:media:workerpool-collector", "extra": extra}
    return {"authenticated": True, "audiences": [AUDIENCE], "user": user} | changes


def test_a_service_account_and_its_pod() -> None:
    assert identity_of(status(), audience=AUDIENCE) == Identity(
        username="system:serviceaccount:media:workerpool-collector",
        namespace="media",
        service_account="workerpool-collector",
        pod="collector-0",
        pod_uid="uid-0",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"authenticated": False},
        {"audiences": ["https://kubernetes.default.svc"]},
        {"audiences": None},
        {"user": {"username": "admin"}},
        {"user": {"username": "system:serviceaccount:media"}},
        {"user": {"username": "system:serviceaccount::x"}},
        {"user": {"username": "media:workerpool-collector"}},
        {"user": None},
    ],
)
def test_everybody_else_is_nobody(changes: dict[str, Any]) -> None:
    assert identity_of(status(**changes), audience=AUDIENCE) is None


def test_a_token_that_is_bound_to_no_pod_names_none() -> None:
    user = {"username": "system:serviceaccount:media:workerpool-collector"}
    identity = identity_of(status(user=user), audience=AUDIENCE)
    assert identity is not None
    assert (identity.pod, identity.pod_uid) == ("", "")


def test_a_user_is_whomever_the_server_vouches_for() -> None:
    assert user_of(status(audiences=None, user={"username": "ann"})) == {"username": "ann"}


@pytest.mark.parametrize("changes", [{"authenticated": False}, {"authenticated": "true"}, {"error": "expired"}])
def test_nobody_is_a_user_without_the_servers_word(changes: dict[str, Any]) -> None:
    assert user_of(status(**changes)) is None
    assert user_of({}) is None
