"""Credentials that change while the process lives."""

from pathlib import Path

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException

from workerpool_operator.kube.access import RETRY_SECONDS, ClusterAccess


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
            raise ConfigException("Service token file does not exist.")
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


async def test_no_configuration_is_said_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigException):
        await ClusterAccess.find(tmp_path / "none")


async def test_a_proxy_of_the_environment_is_used_and_can_be_ruled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'https://api.example:6443'}}]\n"
        "users: [{name: u, user: {token: abc}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "")
    assert (await ClusterAccess.find(path)).configuration.proxy == "http://proxy.example:3128"
    monkeypatch.setenv("no_proxy", "api.example")
    access = await ClusterAccess.find(path)
    assert access.configuration.proxy is None
    assert access.server == "https://api.example:6443"
    assert await access.authorization() == "Bearer abc"
