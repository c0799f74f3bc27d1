"""What nodes are told, and the network that they stand in."""

import io
import ipaddress
import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from e2e.cluster import network, nodeconfig, pauseimage, services
from e2e.cluster.network import Subnet
from e2e.cluster.nodeconfig import NodeSite


def site(*, index: int = 0) -> NodeSite:
    return NodeSite(
        name=f"node-{index + 1}",
        subnet=Subnet(index=index),
        home=Path(f"/state/node-{index + 1}"),
        store=Path(f"/cache/node-{index + 1}"),
        pki=Path("/state/pki"),
        cgroup=f"cluster/node-{index + 1}",
        dns="10.88.0.1",
        network=f"cluster-node-{index + 1}",
    )


def test_containerd_is_configured_by_valid_toml() -> None:
    config = tomllib.loads(nodeconfig.containerd(site()))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert config["grpc"]["address"] == "/state/node-1/containerd.sock"
    assert cri["restrict_oom_score_adj"] is True
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["sandbox_image"] == nodeconfig.PAUSE_IMAGE


def test_the_bare_containerd_has_no_pods_service() -> None:
    assert "io.containerd.grpc.v1.cri" in tomllib.loads(nodeconfig.containerd(site(), cri=False))["disabled_plugins"]
    assert "io.containerd.grpc.v1.cri" not in tomllib.loads(nodeconfig.containerd(site()))["disabled_plugins"]


def test_two_nodes_share_no_path_address_or_group() -> None:
    one, two = (nodeconfig.kubelet(site(index=index)) for index in (0, 1))
    for key in ("address", "healthzBindAddress", "cgroupRoot", "podLogsDir", "containerRuntimeEndpoint"):
        assert one[key] != two[key], key


def test_images_are_never_collected_since_none_could_be_pulled_again() -> None:
    assert nodeconfig.kubelet(site())["imageGCHighThresholdPercent"] == 100


def test_pods_get_addresses_of_their_node_s_network_but_not_the_gateway_s() -> None:
    (bridge,) = nodeconfig.cni(site(index=1))["plugins"]
    ((span,),) = bridge["ipam"]["ranges"]
    within = ipaddress.ip_network(span["subnet"])
    assert bridge["bridge"] == "kc1"
    assert {ipaddress.ip_address(span[end]) in within for end in ("rangeStart", "rangeEnd")} == {True}
    assert Subnet(index=1).gateway not in Subnet(index=1).pods


def test_every_node_that_fits_lies_in_the_cluster_s_range() -> None:
    whole = ipaddress.ip_network(network.PODS)
    ranges = [ipaddress.ip_network(Subnet(index=index).range) for index in range(network.MAX_NODES)]
    assert all(isinstance(each, ipaddress.IPv4Network) and each.subnet_of(whole) for each in ranges)  # type: ignore[arg-type]
    assert len(set(ranges)) == network.MAX_NODES


def test_more_addresses_than_pods_are_there() -> None:
    kubelet_admits = 110
    assert len(Subnet(index=0).pods) > 2 * kubelet_admits


def test_the_rules_may_be_loaded_again_and_know_each_pod_by_itself() -> None:
    rules = network.ruleset("t", pods=["10.88.0.2", "10.89.0.2"])
    assert rules.index("table ip t {}") < rules.index("delete table ip t") < rules.index("chain postrouting")
    assert "10.88.0.2 . 10.88.0.2, 10.89.0.2 . 10.89.0.2" in rules


@pytest.mark.parametrize("upstream", [True, False])
def test_other_names_go_to_the_host_s_resolver_if_it_has_one(*, upstream: bool) -> None:
    text = services.corefile(address="10.88.0.1", kubeconfig=Path("/k"), context="c", upstream=upstream)
    assert ("forward . /etc/resolv.conf" in text) is upstream
    assert "bind 10.88.0.1" in text


def test_the_pause_image_holds_its_program_and_runs_it_without_root() -> None:
    with tarfile.open(fileobj=io.BytesIO(pauseimage.pack(b"program", machine="x86_64"))) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        contents = {name: handle.read() for name, handle in files.items() if handle}
    config = json.loads(contents["config.json"])
    (manifest,) = json.loads(contents["manifest.json"])
    assert manifest["RepoTags"] == [nodeconfig.PAUSE_IMAGE]
    assert config["architecture"] == "amd64"
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65535:65535"}
    with tarfile.open(fileobj=io.BytesIO(contents["layer.tar"])) as layer:
        assert layer.getmember("pause").mode == 0o755
