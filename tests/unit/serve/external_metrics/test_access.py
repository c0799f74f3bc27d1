"""Each way in, and what happens to whoever has no right to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.support.waiting import until
from workerpool_operator.serve.external_metrics.access import (
    MAX_STRANGERS_REVIEWS,
    MAX_STRANGERS_WAITING,
    MAX_TOKENS,
    REVIEW_SECONDS,
    Access,
    Gate,
)
from workerpool_operator.serve.external_metrics.documents import ApiError
from workerpool_operator.serve.external_metrics.identity import FrontProxy

PROXY = FrontProxy(ca_pem="a certificate", allowed_names=("front-proxy-client",), user_headers=("X-Remote-User",))
CERTIFICATE = {"subject": ((("commonName", "front-proxy-client"),),)}
READ = Access(namespace="media", metric="workerpool_desired_replicas")


@dataclass
class Reviewer:
    """An API server that knows the tokens `good` and `weak`, and lets `ann` and `hpa` read."""

    users: dict[str, Any] = field(default_factory=lambda: {"good": {"username": "ann"}, "weak": {"username": "bob"}})
    specs: list[Any] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    down: bool = False
    now: float = 0.0
    reviewing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set unless the reviews of tokens that nobody gave out hang."""

    def __post_init__(self) -> None:
        self.reviewing.set()

    async def user_info(self, token: str) -> dict[str, Any] | None:
        self.tokens.append(token)
        if self.down:
            raise ConnectionError("refused")
        found: dict[str, Any] | None = self.users.get(token)
        if found is None:
            await self.reviewing.wait()
        return found

    async def allowed(self, spec: dict[str, Any]) -> bool:
        self.specs.append(spec)
        if self.down:
            raise ConnectionError("refused")
        return spec["user"] in {"ann", "hpa"}


@pytest.fixture
def reviews() -> Reviewer:
    return Reviewer()


@pytest.fixture
def gate(reviews: Reviewer) -> Gate:
    return Gate(reviews, clock=lambda: reviews.now)


async def enter(gate: Gate, access: Access = READ, *, certificate: dict[str, Any] | None = None, **headers: str) -> int:
    """The HTTP status that this request would get; 200 for one that is let in."""
    sent = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    try:
        await gate.check(access, proxy=PROXY, certificate=certificate, headers=sent)
    except ApiError as error:
        return error.code
    return 200


async def test_the_front_proxy_speaks_for_its_caller(gate: Gate, reviews: Reviewer) -> None:
    assert await enter(gate, certificate=CERTIFICATE, x_remote_user="hpa") == 200
    assert not reviews.tokens
    assert reviews.specs == [
        {
            "user": "hpa",
            "groups": ["system:authenticated"],
            "uid": "",
            "extra": {},
            "resourceAttributes": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "resource": "workerpool_desired_replicas",
                "namespace": "media",
                "verb": "list",
            },
        }
    ]


async def test_a_token_speaks_for_its_owner(gate: Gate) -> None:
    assert await enter(gate, authorization="Bearer good") == 200
    assert await enter(gate, authorization="bearer good") == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic good", "good", "Bearer gööd"])
async def test_no_credentials(gate: Gate, reviews: Reviewer, header: str) -> None:
    assert await enter(gate, authorization=header) == 401
    assert not reviews.tokens


async def test_forged_headers_without_a_certificate(gate: Gate, reviews: Reviewer) -> None:
    assert await enter(gate, x_remote_user="hpa", x_remote_group="system:masters") == 401
    assert not reviews.specs


async def test_forged_headers_lend_nothing_to_a_token(gate: Gate, reviews: Reviewer) -> None:
    assert await enter(gate, x_remote_user="hpa", authorization="Bearer weak") == 403
    assert [spec["user"] for spec in reviews.specs] == ["bob"]


async def test_a_certificate_of_another_name(gate: Gate) -> None:
    other = {"subject": ((("commonName", "kubelet"),),)}
    assert await enter(gate, certificate=other, x_remote_user="hpa") == 401


async def test_a_token_that_nobody_vouches_for(gate: Gate) -> None:
    assert await enter(gate, authorization="Bearer expired") == 401


async def test_a_user_without_rights(gate: Gate) -> None:
    assert await enter(gate, certificate=CERTIFICATE, x_remote_user="bob") == 403
    assert await enter(gate, authorization="Bearer weak") == 403


async def test_an_api_server_that_does_not_answer_lets_nobody_in(gate: Gate, reviews: Reviewer) -> None:
    reviews.down = True
    assert await enter(gate, authorization="Bearer good") == 503
    assert await enter(gate, certificate=CERTIFICATE, x_remote_user="hpa") == 503
    reviews.down = False
    assert await enter(gate, authorization="Bearer good") == 200


async def test_a_review_without_a_user_is_nobody(gate: Gate, reviews: Reviewer) -> None:
    reviews.users["odd"] = {"groups": ["system:masters"]}
    assert await enter(gate, authorization="Bearer odd") == 401


async def test_one_answer_serves_for_many_requests_of_the_same_user_to_the_same_thing(
    gate: Gate, reviews: Reviewer
) -> None:
    for _ in range(3):
        await enter(gate, authorization="Bearer good")
    assert (len(reviews.tokens), len(reviews.specs)) == (1, 1)
    await enter(gate, Access(namespace="other", metric=READ.metric), authorization="Bearer good")
    await enter(gate, Access(path="/apis"), authorization="Bearer good")
    assert (len(reviews.tokens), len(reviews.specs)) == (1, 3)
    assert reviews.specs[-1]["nonResourceAttributes"] == {"path": "/apis", "verb": "get"}


async def test_no_token_is_kept(gate: Gate) -> None:
    await enter(gate, authorization="Bearer good")
    await enter(gate, authorization="Bearer guessed")
    kept = [*gate._users._answers, *gate._good._until, *gate._bad._until]
    assert len(kept) == 3
    assert "good" not in repr(kept)
    assert "guessed" not in repr(kept)


class TestFlood:
    """Somebody sends one token after the other that nobody gave out."""

    async def test_each_of_them_is_reviewed_once(self, gate: Gate, reviews: Reviewer) -> None:
        tokens = [f"bad-{number}" for number in range(2 * MAX_TOKENS)]
        for _ in range(2):
            assert {await enter(gate, authorization=f"Bearer {token}") for token in tokens} == {401}
        assert reviews.tokens == tokens
        reviews.now += REVIEW_SECONDS
        await enter(gate, authorization=f"Bearer {tokens[0]}")
        assert len(reviews.tokens) == len(tokens) + 1

    async def test_a_good_one_is_remembered_nevertheless(self, gate: Gate, reviews: Reviewer) -> None:
        await enter(gate, authorization="Bearer good")
        for number in range(2 * MAX_TOKENS):
            await enter(gate, authorization=f"Bearer bad-{number}")
        await enter(gate, authorization="Bearer good")
        assert reviews.tokens.count("good") == 1

    async def test_others_do_not_wait(self, gate: Gate, reviews: Reviewer) -> None:
        """Neither HPAs nor a replica whose token was good a while ago."""
        assert await enter(gate, authorization="Bearer good") == 200
        reviews.now += REVIEW_SECONDS
        reviews.reviewing.clear()
        most = MAX_STRANGERS_REVIEWS + MAX_STRANGERS_WAITING
        flood = [asyncio.create_task(enter(gate, authorization=f"Bearer bad-{number}")) for number in range(most)]
        await until(lambda: len(reviews.tokens) == 1 + MAX_STRANGERS_REVIEWS, what="as many reviews as there may be")
        async with asyncio.timeout(10):
            assert await enter(gate, certificate=CERTIFICATE, x_remote_user="hpa") == 200
            assert await enter(gate, authorization="Bearer good") == 200
            assert await enter(gate, authorization="Bearer one-too-many") == 503
        assert "one-too-many" not in reviews.tokens
        reviews.reviewing.set()
        assert set(await asyncio.gather(*flood)) == {401}
        assert await enter(gate, authorization="Bearer one-too-many") == 401
