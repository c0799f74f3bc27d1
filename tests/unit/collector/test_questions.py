"""What is read out of an answer: a number of jobs, or a reason why there is none."""

import ipaddress
import json
from typing import Any

import pytest

from workerpool.errors import BadAnswer, BrokerUnavailable, ConfigurationError
from workerpool_operator.collector.questions.fetch import is_forbidden
from workerpool_operator.collector.questions.numbers import count, of_prometheus, parsed, path_steps, walk


@pytest.mark.parametrize(
    ("value", "jobs"), [(0, 0), (7, 7), (0.2, 1), ("12", 12), ("3.5", 4), ("1e3", 1000), (1e12, 10**12)]
)
def test_a_number_of_jobs_is_rounded_up(value: object, jobs: int) -> None:
    assert count(value) == jobs


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("NaN", "NaN"),
        (float("nan"), "NaN"),
        ("+Inf", "above 1e\\+12"),
        (-1, "below 0"),
        ("-0.5", "below 0"),
        (10**13, "above 1e\\+12"),
        (10**400, "no number"),
        ("many", "no number"),
        ("", "no number"),
        (True, "true or false"),
        (None, "nothing"),
        ([3], "a list"),
        ({"n": 3}, "an object"),
    ],
)
def test_what_is_no_number_of_jobs_is_said(value: object, words: str) -> None:
    with pytest.raises(BadAnswer, match=words):
        count(value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 200_000, b"9" * 5000])
def test_what_is_no_json_is_said(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="no JSON"):
        parsed(body)


def test_a_path_leads_to_a_place_in_the_document() -> None:
    document = {"data": {"queues": [{"depth": 3}, {"depth": "4"}], "a.b": {"$": 5}}}
    assert walk(document, path_steps("$.data.queues[1].depth")) == "4"
    assert walk(document, path_steps("$.data['a.b']['$']")) == 5
    assert walk(7, path_steps("$")) == 7


@pytest.mark.parametrize("path", ["$.none", "$.data[0]", "$.data.queues[2]", "$.data.queues.depth", "$.null"])
def test_a_place_that_is_not_there_is_said(path: str) -> None:
    with pytest.raises(BadAnswer, match="nothing at step"):
        walk({"data": {"queues": [1, 2]}, "null": None}, path_steps(path))


@pytest.mark.parametrize("path", ["", "data", "$data", "$.", "$..a", "$[x]", "$.a[", "$['']", "$.a b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="jsonPath"):
        path_steps(path)


def answer(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def series(*values: str) -> list[dict[str, Any]]:
    return [{"metric": {"queue": str(number)}, "value": [1.0, value]} for number, value in enumerate(values)]


def test_a_query_gives_one_value() -> None:
    assert of_prometheus(answer("vector", series("12"))) == 12
    assert of_prometheus(answer("scalar", [1.0, "3"])) == 3


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer("vector", []), "no value: is the metric there"),
        (answer("vector", series("1", "2")), r"2 values: put sum\(\)"),
        (answer("vector", series("NaN")), "NaN"),
        (answer("vector", series("-1")), "below 0"),
        (answer("vector", ["x"]), "no answer of Prometheus"),
        (answer("vector", [{"value": 3}]), "no answer of Prometheus"),
        (answer("matrix", []), "no single value"),
        (answer("string", [1.0, "3"]), "no single value"),
        ({"status": "success"}, "no single value"),
        ({"status": "error", "errorType": "bad_data", "error": "secret"}, "refuses the query: bad_data"),
        ({"status": "error", "errorType": {}}, "refuses the query"),
        ({}, "refuses the query"),
        ([], "no answer of Prometheus"),
    ],
)
def test_every_other_answer_is_a_reason_and_no_zero(said: Any, words: str) -> None:
    with pytest.raises(BadAnswer, match=words) as refused:
        of_prometheus(json.loads(json.dumps(said)))
    assert "secret" not in str(refused.value)


def test_a_prometheus_that_was_too_slow_is_unavailable() -> None:
    with pytest.raises(BrokerUnavailable, match="timeout"):
        of_prometheus({"status": "error", "errorType": "timeout"})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "100.100.100.200",
        "fd00:ec2::254",
    ],
)
def test_no_question_goes_to_its_own_machine_or_to_a_clouds_credentials(address: str) -> None:
    assert is_forbidden(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["10.96.0.1", "192.168.1.1", "203.0.113.7", "fd12::1", "2001:db8::1"])
def test_questions_go_to_services_and_to_the_world(address: str) -> None:
    assert not is_forbidden(ipaddress.ip_address(address))
