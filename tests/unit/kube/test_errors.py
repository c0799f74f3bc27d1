"""What each answer of the API server becomes."""

import json

import pytest

from workerpool_operator.kube import errors


def status(code: int, *, reason: str = "", message: str = "no", **details: object) -> errors.KubeError:
    body = {"kind": "Status", "reason": reason, "message": message, "code": code, "details": details}
    return errors.error_from_answer(code, json.dumps(body).encode(), headers={}, request="apply Deployment a/b")


@pytest.mark.parametrize(
    ("error", "wanted", "retryable"),
    [
        (status(400), errors.Invalid, False),
        (status(401), errors.Unauthorized, True),
        (status(403), errors.Forbidden, False),
        (status(403, message="exceeded quota: few, requested: pods=1"), errors.QuotaExceeded, False),
        (status(403, causes=[{"reason": "NamespaceTerminating"}]), errors.NamespaceTerminating, False),
        (status(404, name="b"), errors.NotFound, False),
        (status(404), errors.KindNotServed, False),
        (status(409, reason="Conflict"), errors.Conflict, False),
        (status(409, reason="AlreadyExists"), errors.AlreadyExists, False),
        (status(410, reason="Expired"), errors.Expired, False),
        (status(422, causes=[{"field": "spec.replicas"}]), errors.Invalid, False),
        (status(422, causes=[{"field": "metadata.uid"}]), errors.Conflict, False),
        (status(422, message='strict decoding error: unknown field "spec.x"'), errors.UnknownField, False),
        (status(429), errors.TooManyRequests, True),
        (status(500), errors.Unavailable, True),
        (status(503), errors.Unavailable, True),
        (status(504), errors.RequestTimeout, True),
        (status(418), errors.KubeError, False),
    ],
)
def test_a_status_becomes_its_error(error: errors.KubeError, wanted: type[errors.KubeError], retryable: bool) -> None:  # noqa: FBT001
    assert type(error) is wanted
    assert error.retryable is retryable
    assert error.code == str(error.status)


def test_the_message_says_what_was_asked_and_what_the_server_said() -> None:
    assert str(status(409, message="it changed")) == (
        "Somebody else changed the object first: apply Deployment a/b: it changed"
    )


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway</html>", b"[1]", b'"x"', b"\xff\xfe", b'{"kind": "Other"}'])
def test_a_body_that_no_api_server_wrote_is_no_problem(body: bytes) -> None:
    error = errors.error_from_answer(502, body, headers={}, request="get Pod a/b")
    assert type(error) is errors.Unavailable


@pytest.mark.parametrize(
    ("headers", "details", "wanted"),
    [
        ({"Retry-After": "3"}, {}, 3.0),
        ({}, {"retryAfterSeconds": 5}, 5.0),
        ({}, {}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({"Retry-After": "-1"}, {}, 0.0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], details: dict[str, object], wanted: float | None) -> None:
    body = json.dumps({"kind": "Status", "details": details}).encode()
    assert errors.error_from_answer(429, body, headers=headers, request="get").retry_after == wanted


def test_an_error_without_an_answer_is_named_by_its_class() -> None:
    assert errors.RequestTimeout("late").code == "RequestTimeout"
