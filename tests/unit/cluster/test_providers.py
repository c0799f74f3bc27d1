"""Which provider a machine gets, and what the thin ones do."""

from pathlib import Path

import pytest
import yaml

from e2e.cluster import cli, kind, paths, provider
from e2e.cluster.arguments import Extra
from e2e.cluster.base import ClusterError, Wish
from e2e.cluster.external import ExternalCluster
from e2e.cluster.kind import KindCluster
from e2e.cluster.provider import Machine, Provider, choose

ALL = Machine(docker=True, kind=True, root=True, go=True, linux=True)
NO_DOCKER = Machine(docker=False, kind=True, root=True, go=True, linux=True)
NO_ROOT = Machine(docker=False, kind=True, root=False, go=True, linux=True)
NOTHING = Machine(docker=False, kind=False, root=False, go=False, linux=True)
MAC = Machine(docker=False, kind=True, root=True, go=True, linux=False)


@pytest.mark.parametrize(
    ("machine", "nodes", "expected"),
    [
        (ALL, 2, Provider.KIND),
        (NO_DOCKER, 2, Provider.LOCAL),
        (ALL, 0, Provider.LOCAL),
        (NO_ROOT, 0, Provider.LOCAL),
        (Machine(docker=True, kind=False, root=True, go=True, linux=True), 2, Provider.LOCAL),
    ],
)
def test_kind_comes_first_then_local(machine: Machine, nodes: int, expected: Provider) -> None:
    assert choose(Provider.AUTO, machine, nodes=nodes) is expected


@pytest.mark.parametrize("machine", [NO_ROOT, NOTHING, MAC])
def test_where_nothing_works_the_refusal_says_what_is_needed(machine: Machine) -> None:
    with pytest.raises(ClusterError, match=r"Docker engine[\s\S]*root[\s\S]*E2E_KUBECONFIG"):
        choose(Provider.AUTO, machine, nodes=2)


@pytest.mark.parametrize("asked", [Provider.KIND, Provider.LOCAL])
def test_who_asks_for_one_gets_it(asked: Provider) -> None:
    assert choose(asked, NOTHING, nodes=2) is asked


def test_a_given_kubeconfig_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "config"
    given.write_text("{}")
    monkeypatch.setenv("E2E_KUBECONFIG", str(given))
    cluster = provider.get(provider=Provider.KIND)
    assert isinstance(cluster, ExternalCluster)
    cluster.up()
    cluster.down()
    assert given.read_text() == "{}"
    assert cluster.environment() == {"KUBECONFIG": str(given)}


def test_a_given_kubeconfig_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="is no file"):
        provider.get()


def test_no_part_of_somebody_else_s_cluster_is_stopped(tmp_path: Path) -> None:
    given = tmp_path / "config"
    given.touch()
    cluster = ExternalCluster(given)
    for act in (cluster.stop_apiserver, cluster.start_apiserver):
        with pytest.raises(ClusterError, match="not ours"):
            act()
    for act_on in (cluster.stop_node, cluster.start_node, cluster.load_image):
        with pytest.raises(ClusterError):
            act_on("x")


def test_kind_gets_one_control_plane_and_the_wanted_workers() -> None:
    config = kind.render(Wish(nodes=3))
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker", "worker"]
    assert config["kind"] == "Cluster"
    assert config["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    assert yaml.safe_load(yaml.safe_dump(config)) == config


def test_kind_passes_flags_and_gates_on() -> None:
    extra = Extra(
        apiserver_args=("--max-requests-inflight=10",),
        controller_manager_args=("--horizontal-pod-autoscaler-sync-period=2s", "--profiling"),
        feature_gates={"HPAScaleToZero": True},
    )
    config = kind.render(Wish(extra=extra))
    (patch,) = map(yaml.safe_load, config["kubeadmConfigPatches"])
    assert config["featureGates"] == {"HPAScaleToZero": True}
    assert patch["kind"] == "ClusterConfiguration"
    assert patch["apiServer"]["extraArgs"] == {"max-requests-inflight": "10"}
    assert patch["controllerManager"]["extraArgs"] == {
        "horizontal-pod-autoscaler-sync-period": "2s",
        "profiling": "true",
    }


def test_kind_names_its_workers_as_kind_does() -> None:
    assert KindCluster(Wish(name="c", nodes=3)).nodes == ["c-worker", "c-worker2", "c-worker3"]


def test_state_and_cache_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.state_of("c") == tmp_path / "state" / "workerpool-operator" / "c"
    assert paths.cache_root() == tmp_path / "cache" / "workerpool-operator"


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "E2E_KUBECONFIG" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--feature-gate", "Gate=maybe"], "NAME=true or NAME=false"),
        (["load-image"], "NAME:TAG"),
    ],
)
def test_a_wrong_command_line_is_told_apart_from_a_failure(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["--provider", "local", "--name", "no-such", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_env_is_made_for_eval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "a config"
    given.touch()
    monkeypatch.setenv("E2E_KUBECONFIG", str(given))
    assert cli.main(["env"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"export KUBECONFIG='{given}'",
        "export E2E_PROVIDER=external",
        "export E2E_CLUSTER=workerpool",
    ]


@pytest.mark.parametrize("command", ["load-image", "stop-node", "start-node"])
def test_a_command_that_lacks_its_word_says_which(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_text("{}")
    monkeypatch.setenv("E2E_KUBECONFIG", str(tmp_path / "config"))
    assert cli.main([command]) == 2
    assert f"{command} takes the " in capsys.readouterr().err
