"""Credentials that change while the process lives."""

import json
from pathlib import Path

import pytest
from kubernetes.aio.client import Configuration

from workerpool_operator.kube.access import RETRY_SECONDS, AccessError, ClusterAccess


class TokenFile:
    """A token that rotates, a file that may be missing, and a clock that is turned by hand."""

    def __init__(self) -> None:
        self.token = "first"
        self.missing = False
        self.reads = 0
        self.now = 1000.0
        configuration = Configuration(host="https://10.0.0.1")
        configuration.api_key["BearerToken"] = "bearer first"
        self.access = ClusterAccess(configuration, load=self._load, reread_seconds=60, clock=lambda: self.now)

    async def _load(self, configuration: Configuration) -> None:
        self.reads += 1
        if self.missing:
            raise AccessError("Service token file does not exist.")
        configuration.api_key["BearerToken"] = f"bearer {self.token}"


async def test_a_rotated_token_is_noticed_after_a_minute() -> None:
    file = TokenFile()
    file.token = "second"
    assert await file.access.authorization() == "bearer first"
    file.now += 60
    assert await file.access.authorization() == "bearer second"
    assert await file.access.authorization() == "bearer second"
    assert file.reads == 1


async def test_a_token_file_that_is_missing_for_a_moment_leaves_the_old_token() -> None:
    file = TokenFile()
    file.missing, file.token = True, "second"
    file.now += 60
    assert await file.access.authorization() == "bearer first"
    file.missing = False
    file.now += RETRY_SECONDS
    assert await file.access.authorization() == "bearer second"


async def test_a_refused_token_is_read_again_soon_but_not_in_a_tight_loop() -> None:
    file = TokenFile()
    for _ in range(100):
        file.access.refused()
        await file.access.authorization()
    assert file.reads == 0
    file.now += RETRY_SECONDS
    for _ in range(100):
        await file.access.authorization()
        file.access.refused()
    assert file.reads == 1


KUBECONFIG = (
    "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
    "clusters: [{name: c, cluster: {server: 'https://api.example:6443'}}]\n"
    "users: [{name: u, user: {token: abc}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
)


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(AccessError, match=r"kubeconfig .*/none cannot be used: there is no such file"):
        await ClusterAccess.find()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "malformed"),
        ("clusters: [", "malformed"),
        ("[1]", "malformed"),
        (KUBECONFIG.replace("users:", "people:"), "malformed"),
        (KUBECONFIG.replace("token: abc", "client-certificate-data: x, client-key-data: x"), "malformed"),
        (KUBECONFIG.replace("current-context: c", "current-context: other"), "other"),
        (KUBECONFIG.replace("token: abc", "tokenFile: /none/token"), "/none/token"),
        (KUBECONFIG.replace("server:", "servant:"), "its cluster has no server"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named_with_what_is_wrong(
    tmp_path: Path, content: str, problem: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(AccessError, match=f"kubeconfig {path} cannot be used: .*{problem}"):
        await ClusterAccess.find(path)


async def test_a_pod_without_a_service_account_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT", raising=False)
    with pytest.raises(AccessError, match="the pod's service account cannot be used"):
        await ClusterAccess.find()


async def test_a_kubeconfig_that_is_being_written_leaves_the_old_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workerpool_operator.kube.access.RETRY_SECONDS", 0.0)
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    access = await ClusterAccess.find(path)
    path.write_text(KUBECONFIG[:60])
    access.refused()
    assert await access.authorization() == "Bearer abc"
    path.write_text(KUBECONFIG.replace("abc", "xyz"))
    assert await access.authorization() == "Bearer xyz"


async def test_a_proxy_of_the_environment_is_used_and_can_be_ruled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    assert (await ClusterAccess.find(path)).configuration.proxy == "http://proxy.example:3128"
    monkeypatch.setenv("no_proxy", "api.example")
    access = await ClusterAccess.find(path)
    assert access.configuration.proxy is None
    assert access.server == "https://api.example:6443"
    assert await access.authorization() == "Bearer abc"


@pytest.mark.parametrize(("context", "namespace"), [("media", "pictures"), ("plain", "default")])
async def test_the_namespace_is_that_of_the_named_context(tmp_path: Path, context: str, namespace: str) -> None:
    """Also where there is no current one."""
    path = tmp_path / "kubeconfig"
    contexts = [
        {"name": "media", "context": {"cluster": "c", "user": "u", "namespace": "pictures"}},
        {"name": "plain", "context": {"cluster": "c", "user": "u"}},
    ]
    clusters = [{"name": "c", "cluster": {"server": "https://10.0.0.1"}}]
    users = [{"name": "u", "user": {"token": "t"}}]
    config = {"current-context": "gone", "contexts": contexts, "clusters": clusters, "users": users}
    path.write_text(json.dumps(config))
    access = await ClusterAccess.from_kubeconfig(path, context=context)
    assert (access.namespace, access.server) == (namespace, "https://10.0.0.1")
