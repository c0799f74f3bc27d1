"""The application's paths, for callers with tokens: the front proxy's certificate needs TLS, in the component tests."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from workerpool_operator.domain.metric import METRIC
from workerpool_operator.serve.external_metrics import Backend, Gate, Values, metrics_app
from workerpool_operator.serve.external_metrics.documents import ApiError, unavailable
from workerpool_operator.serve.external_metrics.forward import FORWARDED_HEADER
from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.external_metrics.values import Question
from workerpool_operator.serve.values import ValueBoard

BASE = "/apis/external.metrics.k8s.io/v1beta1"
WEB = f"{BASE}/namespaces/media/{METRIC}"
GOOD = {"Authorization": "Bearer good"}


@dataclass
class Fakes:
    """Everything around the application."""

    leads: bool = True
    failing: bool = False
    questions: list[Question] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] | ApiError = (200, {"items": ["of the leader"]})
    counted: list[tuple[str, int]] = field(default_factory=list)

    async def user_info(self, token: str) -> dict[str, Any] | None:
        return {"good": {"username": "ann"}, "weak": {"username": "bob"}}.get(token)

    async def allowed(self, spec: dict[str, Any]) -> bool:
        return bool(spec["user"] == "ann")

    async def ask(self, question: Question) -> tuple[int, dict[str, Any]]:
        self.questions.append(question)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer

    def pools(self, namespace: str) -> tuple[str, ...]:
        if self.failing:
            raise RuntimeError("a fault of ours")
        return ("web",) if namespace == "media" else ()

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        self.counted.append((kind, code))


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def client(fakes: Fakes) -> AsyncIterator[TestClient[Any, Any]]:
    board = ValueBoard()
    board.begin()
    board.read("media", "web", "main", age=0.0, stale_after=60.0)
    board.publish("media", "web", 7, queues=("main",))
    backend = Backend(
        gate=Gate(fakes), values=Values(board, fakes.pools), leads=lambda: fakes.leads, leader=fakes, observer=fakes
    )
    async with TestClient(TestServer(metrics_app(backend, proxy=FrontProxy()))) as client:
        yield client


async def status(answer: ClientResponse) -> dict[str, Any]:
    """The `Status` object that every error has to be."""
    found: dict[str, Any] = json.loads(await answer.text())
    assert (found["kind"], found["apiVersion"], found["status"]) == ("Status", "v1", "Failure")
    assert found["code"] == answer.status
    assert "Retry-After" not in answer.headers
    return found


async def test_a_value(client: TestClient[Any, Any]) -> None:
    answer = await client.get(WEB, params={"labelSelector": "pool=web"}, headers=GOOD)
    assert answer.status == 200
    assert answer.content_type == "application/json"
    assert [item["value"] for item in (await answer.json())["items"]] == ["7"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis", "APIGroupList"),
        ("/apis/external.metrics.k8s.io", "APIGroup"),
        (BASE, "APIResourceList"),
    ],
)
async def test_discovery(client: TestClient[Any, Any], path: str, kind: str) -> None:
    answer = await client.get(path, headers=GOOD)
    document = await answer.json()
    assert (answer.status, document["kind"]) == (200, kind)
    assert "external.metrics.k8s.io" in json.dumps(document)


async def test_openapi_is_there_and_empty(client: TestClient[Any, Any]) -> None:
    """The aggregator asks for both, and complains in the API server's log without."""
    for path in ("/openapi/v2", "/openapi/v3"):
        assert (await (await client.get(path, headers=GOOD)).json())["paths"] == {}
        assert (await client.get(path)).status == 401


async def test_the_list_of_resources_is_never_empty(client: TestClient[Any, Any]) -> None:
    document = await (await client.get(BASE, headers=GOOD)).json()
    assert [(one["name"], one["verbs"]) for one in document["resources"]] == [("externalmetrics", ["get"])]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_needs_no_credentials(client: TestClient[Any, Any], path: str) -> None:
    assert (await client.get(path)).status == 200


@pytest.mark.parametrize("path", ["/apis", "/apis/external.metrics.k8s.io", BASE, WEB])
async def test_everything_else_does(client: TestClient[Any, Any], path: str) -> None:
    assert (await status(await client.get(path)))["reason"] == "Unauthorized"
    refused = await status(await client.get(path, headers={"Authorization": "Bearer weak"}))
    assert (refused["code"], refused["reason"]) == (403, "Forbidden")
    assert "'bob'" in refused["message"]


async def test_errors_are_status_objects(client: TestClient[Any, Any], fakes: Fakes) -> None:
    assert (await status(await client.get("/openapi/v4", headers=GOOD)))["reason"] == "NotFound"
    assert (await status(await client.get("/", headers=GOOD)))["code"] == 404
    assert (await status(await client.post(WEB, headers=GOOD)))["reason"] == "MethodNotAllowed"
    assert (await status(await client.get(f"{WEB}?labelSelector=a%20b", headers=GOOD)))["reason"] == "BadRequest"
    fakes.failing = True
    assert (await status(await client.get(WEB, headers=GOOD)))["reason"] == "InternalError"


async def test_a_standby_asks_the_leader_and_says_what_it_says(client: TestClient[Any, Any], fakes: Fakes) -> None:
    fakes.leads = False
    answer = await client.get(f"{WEB}?labelSelector=pool%3Dweb", headers=GOOD)
    assert (answer.status, await answer.json()) == (200, {"items": ["of the leader"]})
    assert fakes.questions == [Question("media", METRIC, "pool=web")]
    fakes.answer = unavailable("nobody leads")
    assert (await status(await client.get(WEB, headers=GOOD)))["message"] == "nobody leads"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{BASE}/namespaces/media%2F..%2Fother/{METRIC}", 200),
        (f"{BASE}/namespaces/media/..%2F{METRIC}", 404),
        (f"{BASE}/namespaces/media/{METRIC}/status", 404),
        (f"{BASE}/namespaces//{METRIC}", 404),
        (f"{BASE}/{METRIC}", 404),
        (f"{WEB}?labelSelector=pool%3D%22%0a{{}}", 400),
        (f"{WEB}?labelSelector=" + "a," * 2000, 400),
        (f"{WEB}?labelSelector=" + ",".join(["!a"] * 2600), 400),
    ],
)
async def test_odd_requests_get_no_value(client: TestClient[Any, Any], path: str, code: int) -> None:
    """The first asks for a namespace that nobody can make; there is no pool in it."""
    answer = await client.get(URL(path, encoded=True), headers=GOOD)
    assert answer.status == code
    assert "7" not in [item["value"] for item in (await answer.json()).get("items", [])]


async def test_a_standby_lets_nobody_in_who_has_no_right(client: TestClient[Any, Any], fakes: Fakes) -> None:
    fakes.leads = False
    assert (await client.get(WEB)).status == 401
    assert (await client.get(WEB, headers={"Authorization": "Bearer weak"})).status == 403
    assert not fakes.questions


async def test_a_standby_that_is_taken_for_the_leader_asks_nobody(client: TestClient[Any, Any], fakes: Fakes) -> None:
    """Two that take each other for the leader must not ask each other for ever."""
    fakes.leads = False
    answer = await client.get(WEB, headers={**GOOD, FORWARDED_HEADER: "1"})
    assert (await status(answer))["code"] == 503
    assert not fakes.questions


async def test_a_standby_answers_discovery_itself(client: TestClient[Any, Any], fakes: Fakes) -> None:
    fakes.leads = False
    assert (await client.get(BASE, headers=GOOD)).status == 200
    assert not fakes.questions


async def test_every_answer_is_counted(client: TestClient[Any, Any], fakes: Fakes) -> None:
    await client.get(WEB, headers=GOOD)
    await client.get(WEB)
    await client.get("/nowhere")
    assert fakes.counted == [("values", 200), ("other", 401), ("other", 404)]


async def test_what_hpas_ask_is_told_from_what_anybody_does(client: TestClient[Any, Any], fakes: Fakes) -> None:
    """Nobody who may not read a value, and no discovery, changes how many of their questions got an answer."""
    for path in (BASE, "/openapi/v2", "/healthz"):
        await client.get(path, headers=GOOD)
    for headers in ({}, {"Authorization": "Bearer weak"}):
        await client.get(WEB, headers=headers)
    assert {kind for kind, _ in fakes.counted} == {"other"}
    fakes.leads, fakes.answer = False, unavailable("nobody leads")
    await client.get(WEB, headers=GOOD)
    assert fakes.counted[-1] == ("values", 503)
