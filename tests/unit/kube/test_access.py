"""Credentials that change while the process lives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
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
        ("", "is empty: `kubectl config view`"),
        ("# nothing\n", "is empty"),
        ("clusters: [", "malformed"),
        ("[1]", "holds no mapping with clusters, users and contexts"),
        ("just words", "holds no mapping"),
        (KUBECONFIG.replace("users:", "people:"), "its context names user u, and there is none of this name"),
        (KUBECONFIG.replace("[{name: u, user: {token: abc}}]", "null"), "its context names user u"),
        (KUBECONFIG.replace("[{name: u, user: {token: abc}}]", "{u: {token: abc}}"), "users in .* is no list"),
        (KUBECONFIG.replace("{name: u, user: {token: abc}}", "u"), "an entry of users in .* has no name"),
        (
            KUBECONFIG.replace("cluster: {server: 'https://api.example:6443'}", "cluster: null"),
            "has no mapping cluster",
        ),
        (KUBECONFIG.replace("{cluster: c, user: u}", "[]"), "c of contexts in .* has no mapping context"),
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


def with_plugin(command: str, **fields: Any) -> str:
    """A kubeconfig as providers of clusters write it."""
    config = yaml.safe_load(KUBECONFIG)
    config["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, **fields}
    }
    return yaml.safe_dump(config)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str], str]:
    """A program of these lines of a shell; its path."""

    def write(lines: str) -> str:
        path = tmp_path / "plugin"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        return str(path)

    return write


async def found(tmp_path: Path, content: str) -> ClusterAccess:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    return await ClusterAccess.find(path)


async def test_a_credential_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """With what the kubeconfig says of it; nobody is asked without credentials."""
    hint = "Install it\n  from the provider"
    with pytest.raises(AccessError) as error:
        await found(tmp_path, with_plugin("no-such-plugin", installHint=hint))
    assert "user u logs in by the program no-such-plugin, which is not installed here" in str(error.value)
    assert "It says: Install it from the provider. Install it, or" in str(error.value)


async def test_a_credential_plugin_is_looked_for_where_it_will_be(tmp_path: Path) -> None:
    """The kubeconfig may give it another PATH."""
    with pytest.raises(AccessError, match="the program sh, which is not installed here"):
        await found(tmp_path, with_plugin("sh", env=[{"name": "PATH", "value": str(tmp_path)}]))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("echo expired >&2; exit 3", "process returned 3. .*expired"),
        ("echo nonsense", "failed to decode"),
        ("echo '{}'", "missing key 'apiVersion'"),
    ],
)
async def test_a_credential_plugin_that_fails_is_told(
    tmp_path: Path, plugin: Callable[[str], str], capfd: pytest.CaptureFixture[str], lines: str, why: str
) -> None:
    """In our words, and not only in a log beside."""
    with pytest.raises(AccessError, match=f"by which user u logs in, gives no credentials: .*{why}"):
        await found(tmp_path, with_plugin(plugin(lines)))
    assert capfd.readouterr().err == ""


async def test_a_credential_plugin_that_answers_gives_the_token(
    tmp_path: Path, plugin: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it gave stays while it fails for a moment."""
    monkeypatch.setattr("workerpool_operator.kube.access.RETRY_SECONDS", 0.0)
    api = '"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"'
    answer = f'echo \'{{{api}, "status": {{"token": "given"}}}}\''
    access = await found(tmp_path, with_plugin(plugin(answer)))
    assert await access.authorization() == "Bearer given"
    plugin("exit 1")
    access.refused()
    assert await access.authorization() == "Bearer given"
