"""Every way into the external metrics API, tried without the right to it; a real API server says who has which."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.pki import Authority, Pair
from e2e.cluster.ports import free_port
from e2e.faults import inject
from e2e.faults.inject import FaultProxy, Match, Upstream
from tests.component.external_metrics.serving import BASE, HPA, Answer, Caller, Replica, certify, serving
from tests.component.kube.test_identity import token_for
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.attacks import attack
from tests.support.crds import kubectl
from tests.support.waiting import until
from workerpool_operator.domain.metric import METRIC
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.metrics_api.process import FRONT_PROXY_CONFIG
from workerpool_operator.serve.external_metrics import forward

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

ENOUGH = 8.0
"""Seconds, for what costs one on a machine that has nothing else to do, and would cost minutes without a limit."""
REMOTE = {"X-Remote-User": HPA, "X-Remote-Group": "system:authenticated"}
ADMIN = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}


def reader(kube: Kube) -> Callable[[], Awaitable[Mapping[str, str]]]:
    async def read() -> Mapping[str, str]:
        data: Mapping[str, str] = (await kube.get(FRONT_PROXY_CONFIG))["data"]
        return data

    return read


def front_authority(plane: ControlPlane) -> Authority:
    return Authority(home=plane.authority.home, name="front-proxy-ca")


@pytest.fixture
def aggregator(plane: ControlPlane) -> Pair:
    """The certificate that the API server shows to aggregated APIs."""
    return front_authority(plane).issue("front-proxy-client", common_name="front-proxy-client")


@pytest.fixture
async def replica(kube: Kube, namespace: str, tmp_path: Path) -> AsyncIterator[Replica]:
    """A leader that wants 7 workers for pool `web` of the test's namespace."""
    certify(tmp_path)
    async with serving(Replica(tmp_path, free_port()), kube, front_proxy=reader(kube)) as replica:
        replica.want(namespace, "web", 7)
        yield replica


async def let_read(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """Let the namespace's collector account read the metric there; return when the API server has heard of it."""
    rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": [METRIC], "verbs": ["list"]}
    group, name = "rbac.authorization.k8s.io", {"name": "metric", "namespace": namespace}
    account = {"kind": "ServiceAccount", "name": "workerpool-collector", "namespace": namespace}
    reference = {"apiGroup": group, "kind": "Role", "name": "metric"}
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": name, "rules": [rule]}
    binding = {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [account]}
    del binding["rules"]
    kubectl(plane, "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]}))
    may = {"group": "external.metrics.k8s.io", "resource": METRIC, "verb": "list", "namespace": namespace}
    user = f"system:serviceaccount:{namespace}:workerpool-collector"
    await until(lambda: kube.allowed({"user": user, "resourceAttributes": may}), what="the right to read the metric")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestFrontProxy:
    async def test_the_hpa_controller_reads_values(self, replica: Replica, aggregator: Pair, namespace: str) -> None:
        """With the rights that every cluster gives to it, and none of ours."""
        answer = await Caller(replica, aggregator, REMOTE).value(namespace, "web")
        assert (answer.status, answer.values) == (200, {"web": "7"})

    async def test_its_discovery_is_everybodys_who_has_a_name(self, replica: Replica, aggregator: Pair) -> None:
        someone = {"X-Remote-User": "ann", "X-Remote-Group": "system:authenticated"}
        assert (await Caller(replica, aggregator, someone).get(BASE)).status == 200

    @attack(
        "a pool's size, asked for by somebody without the right to it",
        stopped_by="the API server's own answer (SubjectAccessReview)",
    )
    async def test_somebody_without_the_right(self, replica: Replica, aggregator: Pair, namespace: str) -> None:
        someone = {"X-Remote-User": "ann", "X-Remote-Group": "system:authenticated"}
        answer = await Caller(replica, aggregator, someone).value(namespace, "web")
        assert (answer.status, answer.document["reason"]) == (403, "Forbidden")

    @attack(
        "a pool's size, asked for by nobody in particular",
        stopped_by="the API server's own answer (SubjectAccessReview)",
    )
    async def test_the_anonymous_user(self, replica: Replica, aggregator: Pair, namespace: str) -> None:
        nobody = {"X-Remote-User": "system:anonymous", "X-Remote-Group": "system:unauthenticated"}
        assert (await Caller(replica, aggregator, nobody).value(namespace, "web")).status == 403

    async def test_a_proxy_that_names_nobody(self, replica: Replica, aggregator: Pair, namespace: str) -> None:
        assert (await Caller(replica, aggregator).value(namespace, "web")).status == 401

    @pytest.mark.parametrize("headers", [REMOTE, ADMIN])
    @attack(
        "an administrator's name in a header of the metrics API",
        stopped_by="headers count only with the front proxy's certificate",
    )
    async def test_its_headers_without_its_certificate(
        self, replica: Replica, namespace: str, headers: dict[str, str]
    ) -> None:
        assert (await Caller(replica, None, headers).value(namespace, "web")).status == 401

    @attack(
        "the same, with a forged certificate",
        stopped_by="the certificate's authority is the cluster's own for the front proxy",
    )
    async def test_its_headers_with_a_certificate_of_another_authority(
        self, replica: Replica, namespace: str, tmp_path: Path
    ) -> None:
        """Also with the same names all over."""
        forger = Authority(home=tmp_path / "forger", name="front-proxy-ca")
        forged = forger.issue("front-proxy-client", common_name="front-proxy-client")
        with pytest.raises(aiohttp.ClientError):
            await Caller(replica, forged, ADMIN).value(namespace, "web")

    @attack(
        "the same, with a user's own good certificate",
        stopped_by="the authority of users is not that of the front proxy",
    )
    async def test_its_headers_with_a_certificate_of_the_clusters_own_authority(
        self, replica: Replica, plane: ControlPlane, namespace: str
    ) -> None:
        """The one that signs users: whoever has a certificate of it must not be able to name another."""
        user = plane.authority.issue("mallory", common_name="front-proxy-client")
        with pytest.raises(aiohttp.ClientError):
            await Caller(replica, user, ADMIN).value(namespace, "web")

    @attack(
        "the same, with a certificate for another service of the front proxy's authority",
        stopped_by="the names that the cluster allows",
    )
    async def test_its_headers_with_a_name_that_is_not_allowed(
        self, replica: Replica, plane: ControlPlane, namespace: str
    ) -> None:
        other = front_authority(plane).issue("other-client", common_name="other-client")
        assert (await Caller(replica, other, ADMIN).value(namespace, "web")).status == 401


class TestTokens:
    async def test_nobody(self, replica: Replica, namespace: str) -> None:
        for path in ("/apis", BASE, f"{BASE}/namespaces/{namespace}/{METRIC}"):
            answer = await Caller(replica).get(path)
            assert (answer.status, answer.document["reason"]) == (401, "Unauthorized")

    async def test_an_owner_with_the_right(
        self, replica: Replica, plane: ControlPlane, kube: Kube, namespace: str
    ) -> None:
        token = await token_for(kube, namespace)
        await let_read(plane, kube, namespace)
        answer = await Caller(replica, None, bearer(token)).value(namespace, "web")
        assert (answer.status, answer.values) == (200, {"web": "7"})
        assert (await Caller(replica, None, bearer(token)).value("default", "web")).status == 403

    async def test_an_owner_without_the_right(self, replica: Replica, kube: Kube, namespace: str) -> None:
        token = await token_for(kube, namespace)
        assert (await Caller(replica, None, bearer(token)).value(namespace, "web")).status == 403

    @attack(
        "a good token, and somebody else's name in a header",
        stopped_by="who has a token is its owner, whatever else is said",
    )
    async def test_an_owner_without_the_right_gains_none_by_headers(
        self, replica: Replica, kube: Kube, namespace: str
    ) -> None:
        token = await token_for(kube, namespace)
        answer = await Caller(replica, None, {**bearer(token), **ADMIN}).value(namespace, "web")
        assert answer.status == 403
        assert "workerpool-collector" in answer.document["message"]

    @attack("a token that was made for another service", stopped_by="the token's audience")
    async def test_a_token_for_somebody_else(
        self, replica: Replica, plane: ControlPlane, kube: Kube, namespace: str
    ) -> None:
        """That of a collector for its stream, say."""
        token = await token_for(kube, namespace, "workerpool-operator")
        await let_read(plane, kube, namespace)
        assert (await Caller(replica, None, bearer(token)).value(namespace, "web")).status == 401

    @attack("a forged token at the metrics API", stopped_by="the API server vouches for tokens (TokenReview)")
    async def test_a_forged_one(self, replica: Replica, plane: ControlPlane, kube: Kube, namespace: str) -> None:
        header, payload, _ = (await token_for(kube, namespace)).split(".")
        await let_read(plane, kube, namespace)
        forged = bearer(f"{header}.{payload}.c2lnbmVkIGJ5IG1l")
        assert (await Caller(replica, None, forged).value(namespace, "web")).status == 401

    @attack("a token that has expired", stopped_by="the API server vouches for tokens (TokenReview)")
    async def test_one_that_is_over(self, replica: Replica, plane: ControlPlane, kube: Kube, namespace: str) -> None:
        token = await token_for(kube, namespace)
        await let_read(plane, kube, namespace)
        await kube.delete(ObjectRef(kinds.SERVICE_ACCOUNT, namespace, "workerpool-collector"))

        async def is_refused() -> bool:
            return (await Caller(replica, None, bearer(token)).value(namespace, "web")).status == 401

        # The server hears of the deletion by its watch; it and the operator each remember a good token for ten seconds.
        await until(is_refused, what="the end of the token")


@pytest.mark.parametrize("path", ["subjectaccessreviews", "tokenreviews"])
@attack("an API server that is kept from answering who may do what", stopped_by="without an answer nobody gets in")
async def test_an_api_server_that_does_not_answer_lets_nobody_in(
    plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path, path: str
) -> None:
    """And what failed is not remembered."""
    token = await token_for(kube, namespace)
    await let_read(plane, kube, namespace)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(await Upstream.from_kubeconfig(plane.kubeconfig)))
        access = await ClusterAccess.find(proxy.write_kubeconfig(tmp_path / "kubeconfig"))
        broken = await stack.enter_async_context(Kube(access, timeout_seconds=PATIENCE_SECONDS))
        certify(tmp_path)
        replica = Replica(tmp_path, free_port())
        await stack.enter_async_context(serving(replica, broken, front_proxy=reader(kube)))
        replica.want(namespace, "web", 7)
        with proxy.fault(Match(path=path), inject.Answer(500)):
            assert (await Caller(replica, None, bearer(token)).value(namespace, "web")).status == 503
        assert (await Caller(replica, None, bearer(token)).value(namespace, "web")).status == 200


async def test_a_cluster_without_a_front_proxy_has_tokens_only(
    kube: Kube, namespace: str, tmp_path: Path, aggregator: Pair
) -> None:
    async def nothing() -> Mapping[str, str]:
        return {}

    certify(tmp_path)
    async with serving(Replica(tmp_path, free_port()), kube, front_proxy=nothing) as replica:
        assert (await Caller(replica, aggregator, ADMIN).value(namespace, "web")).status == 401


async def test_a_rotated_authority_of_the_front_proxy_counts_and_the_old_one_does_not(
    kube: Kube, namespace: str, tmp_path: Path
) -> None:
    """Nor does a connection that the old one vouched for."""
    data = dict(await reader(kube)())
    authorities = {name: Authority(home=tmp_path / name, name="ca") for name in ("old", "new")}
    clients = {
        name: authority.issue("client", common_name="front-proxy-client") for name, authority in authorities.items()
    }

    certify(tmp_path)
    rotating = Replica(tmp_path, free_port())

    def rotate(name: str) -> None:
        data["requestheader-client-ca-file"] = authorities[name].pair.cert.read_text()

    async def read() -> Mapping[str, str]:
        return dict(data)

    async def try_to_read(name: str, session: aiohttp.ClientSession | None = None) -> int:
        try:
            return (await Caller(rotating, clients[name], REMOTE).value(namespace, "web", session=session)).status
        except aiohttp.ClientError:
            return 0

    rotate("old")
    async with serving(rotating, kube, front_proxy=read, reread=0.1):
        rotating.want(namespace, "web", 7)
        async with aiohttp.ClientSession() as kept:
            assert await try_to_read("old", kept) == 200
            assert await try_to_read("new") == 0
            rotate("new")

            async def accepted() -> bool:
                return await try_to_read("new") == 200

            await until(accepted, seconds=60, what="the new authority's client")

            async def refused() -> bool:
                return await try_to_read("old", kept) == 0

            await until(refused, what="the end of the old one's connection")
            assert await try_to_read("old") == 0


class TestStandby:
    @pytest.fixture
    def patience(self) -> float:
        """Seconds for which the standby waits for the leader, where a test is not about them."""
        return PATIENCE_SECONDS

    @pytest.fixture
    async def standby(
        self,
        kube: Kube,
        replica: Replica,
        namespace: str,
        plane: ControlPlane,
        patience: float,
        *,
        monkeypatch: pytest.MonkeyPatch,
    ) -> AsyncIterator[Replica]:
        """A replica that takes the other one for the leader, and may read the metric of the test's namespace."""
        monkeypatch.setattr(forward, "TIMEOUT_SECONDS", patience)
        made = Replica(replica.home, free_port(), leads=False, leader=replica.at)
        made.token = await token_for(kube, namespace)
        await let_read(plane, kube, namespace)
        async with serving(made, kube, front_proxy=reader(kube)):
            yield made

    async def ask(self, standby: Replica, aggregator: Pair, namespace: str) -> Answer:
        return await Caller(standby, aggregator, REMOTE).value(namespace, "web")

    async def test_it_gives_the_leaders_answer(self, standby: Replica, aggregator: Pair, namespace: str) -> None:
        assert (await self.ask(standby, aggregator, namespace)).values == {"web": "7"}
        gone = await Caller(standby, aggregator, REMOTE).value(namespace, "gone")
        assert (gone.status, gone.document["reason"]) == (404, "NotFound")

    async def test_it_lets_nobody_in_who_has_no_right(self, standby: Replica, namespace: str) -> None:
        assert (await Caller(standby).value(namespace, "web")).status == 401

    async def test_without_a_leader_there_is_no_value(
        self, standby: Replica, replica: Replica, aggregator: Pair, namespace: str
    ) -> None:
        standby.leader = ""
        assert (await self.ask(standby, aggregator, namespace)).status == 503
        standby.leader, replica.leads = replica.at, False
        assert (await self.ask(standby, aggregator, namespace)).status == 503

    @pytest.mark.parametrize("patience", [forward.TIMEOUT_SECONDS])
    async def test_a_leader_that_cannot_be_reached_costs_a_second(
        self, standby: Replica, aggregator: Pair, namespace: str
    ) -> None:
        await self.ask(standby, aggregator, namespace)  # the reviews are not measured
        for nowhere in (f"127.0.0.1:{free_port()}", "198.51.100.1:6443"):
            standby.leader = nowhere
            started = time.monotonic()
            assert (await self.ask(standby, aggregator, namespace)).status == 503
            assert time.monotonic() - started < ENOUGH

    async def test_a_refusal_of_the_leader_is_not_the_callers(
        self, standby: Replica, aggregator: Pair, namespace: str
    ) -> None:
        standby.token = "no-token"
        assert (await self.ask(standby, aggregator, namespace)).status == 503

    @attack(
        "a server that poses as the leader to a standby",
        stopped_by="the leader's certificate is checked before anything is said",
    )
    async def test_it_tells_its_token_to_no_other_server(
        self, standby: Replica, aggregator: Pair, namespace: str, kube: Kube, tmp_path: Path
    ) -> None:
        """One with a certificate that another authority made for the same name."""
        certify(tmp_path / "other")
        other = Replica(tmp_path / "other", free_port())
        async with serving(other, kube, front_proxy=reader(kube)):
            other.want(namespace, "web", 99)
            standby.leader = other.at
            assert (await self.ask(standby, aggregator, namespace)).status == 503
