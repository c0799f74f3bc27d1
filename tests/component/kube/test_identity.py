"""Tokens against a real API server: whose they are, for whom they are meant, and when they change."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.inject import FaultProxy, Upstream
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.attacks import attack
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds
from workerpool_operator.kube.kinds import Kind, ObjectRef

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

AUDIENCE = "workerpool-operator"
TOKEN_REQUEST = Kind("", "v1", "serviceaccounts", "TokenRequest")


async def service_account(kube: Kube, namespace: str) -> str:
    name = "workerpool-collector"
    metadata = {"namespace": namespace, "name": name}
    await kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    return name


async def token_for(kube: Kube, namespace: str, *audiences: str) -> str:
    name = await service_account(kube, namespace)
    body: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": list(audiences)} if audiences else {},
    }
    path = TOKEN_REQUEST.path(namespace=namespace, name=name, subresource="token")
    answer = await kube._ask("create", TOKEN_REQUEST, path, body=body, what="token")
    return str(answer["status"]["token"])


async def test_a_token_for_the_operator_names_its_namespace_and_account(kube: Kube, namespace: str) -> None:
    token = await token_for(kube, namespace, AUDIENCE)
    identity = await kube.token_review(token, audience=AUDIENCE)
    assert identity is not None
    assert (identity.namespace, identity.service_account) == (namespace, "workerpool-collector")


async def test_a_token_for_somebody_else_is_nobodys(kube: Kube, namespace: str) -> None:
    for audience in ("workerpool-collector", "https://example.com"):
        token = await token_for(kube, namespace, audience)
        assert await kube.token_review(token, audience=AUDIENCE) is None


@attack("a token for the API server, shown to the operator", stopped_by="the token's audience")
async def test_a_token_for_the_api_server_itself_is_nobodys(kube: Kube, namespace: str) -> None:
    token = await token_for(kube, namespace)
    assert await kube.token_review(token, audience=AUDIENCE) is None


async def test_a_forged_token_is_nobodys(kube: Kube, namespace: str) -> None:
    header, payload, _ = (await token_for(kube, namespace, AUDIENCE)).split(".")
    assert await kube.token_review(f"{header}.{payload}.c2lnbmVkIGJ5IG1l", audience=AUDIENCE) is None
    assert await kube.token_review("", audience=AUDIENCE) is None


@attack("the token of a service account that was deleted", stopped_by="the API server vouches for tokens (TokenReview)")
async def test_a_token_dies_with_its_service_account(kube: Kube, namespace: str) -> None:
    token = await token_for(kube, namespace, AUDIENCE)
    await kube.delete(ObjectRef(kinds.SERVICE_ACCOUNT, namespace, "workerpool-collector"))

    async def is_nobodys() -> bool:
        return await kube.token_review(token, audience=AUDIENCE) is None

    # The server looks accounts up in what its own watch told it, and remembers a token that was good for ten seconds.
    await until(is_nobodys, what="the end of the token")


async def test_a_client_with_a_token_has_the_rights_of_that_token(
    plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    async with FaultProxy(await Upstream.from_kubeconfig(plane.kubeconfig)) as proxy:
        path = proxy.write_kubeconfig(tmp_path / "kubeconfig", token=await token_for(kube, namespace))
        async with Kube(await ClusterAccess.find(path), timeout_seconds=PATIENCE_SECONDS) as limited:
            with pytest.raises(errors.Forbidden, match="workerpool-collector"):
                await limited.get(ObjectRef(kinds.CONFIG_MAP, namespace, "kube-root-ca.crt"))


async def test_a_watch_session_speaks_with_the_newest_token(
    plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path
) -> None:
    async with FaultProxy(await Upstream.from_kubeconfig(plane.kubeconfig)) as proxy:
        path = proxy.write_kubeconfig(tmp_path / "kubeconfig", token="no-token-at-all")
        access = await ClusterAccess.find(path)
        clock = [0.0]
        access._clock, access._read_at = (lambda: clock[0]), 0.0

        async def status(session: aiohttp.ClientSession) -> int:
            async with session.get(f"{access.server}{kinds.POD.path(namespace=namespace)}") as answer:
                return answer.status

        async with access.watch_session() as session:
            assert await status(session) == 401
            proxy.write_kubeconfig(path, token=await token_for(kube, namespace))
            clock[0] += 5  # a refused token is read again that soon
            assert await status(session) == 403, "known by now, though without rights"
