"""What serves the nodes from the host: Services (kube-proxy) and names (CoreDNS).

Both run once for all nodes, outside of them: the loss of a node takes neither away. In a cluster of several
machines each has a proxy of its own, and DNS runs in pods; here one network namespace carries all nodes.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from e2e.cluster import network, toolchain
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.nodeconfig import CLUSTER_DOMAIN
from e2e.cluster.processes import Daemon

_DNS_USER = "system:coredns"


def corefile(*, address: str, kubeconfig: Path, context: str, upstream: bool) -> str:
    """Give CoreDNS's configuration: the cluster's names, and the host's resolver for all others."""
    forward = "    forward . /etc/resolv.conf\n" if upstream else ""
    return f""".:53 {{
    bind {address}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig} {context}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
{forward}    cache 30 {{
        disable success {CLUSTER_DOMAIN}
        disable denial {CLUSTER_DOMAIN}
    }}
}}
"""


def dns_role() -> str:
    """Give the manifest that lets CoreDNS read what it serves."""
    name = {"name": _DNS_USER}
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": name, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", **name},
        "subjects": [{"apiGroup": group, "kind": "User", **name}],
    }
    return yaml.safe_dump_all([role, binding])


def dns(plane: ControlPlane, *, address: str, join: tuple[Path, ...]) -> Daemon:
    """Give the DNS server, its files written and its rights granted."""
    config = plane.home / "dns.kubeconfig"
    plane.write_kubeconfig(config, user=_DNS_USER)
    resolv = Path("/etc/resolv.conf")
    upstream = resolv.exists() and "nameserver" in resolv.read_text()
    text = corefile(address=address, kubeconfig=config, context="workerpool", upstream=upstream)
    (plane.home / "Corefile").write_text(text)
    apply = [str(plane.kubectl), "--kubeconfig", str(plane.kubeconfig), "apply", "--filename", "-"]
    subprocess.run(apply, input=dns_role(), text=True, check=True, capture_output=True)
    argv = (str(toolchain.path(toolchain.COREDNS)), "-conf", str(plane.home / "Corefile"))
    return Daemon(name="coredns", argv=argv, home=plane.home, join=join)


def proxy(plane: ControlPlane, *, node: str, address: str, join: tuple[Path, ...]) -> Daemon:
    """Give the proxy that makes Services reachable, from pods of every node and from the host."""
    config = plane.home / "proxy.kubeconfig"
    plane.write_kubeconfig(config, user="system:kube-proxy")
    argv = (
        str(toolchain.node_program("kube-proxy")),
        "--proxy-mode=nftables",
        f"--kubeconfig={config}",
        f"--hostname-override={node}",
        f"--cluster-cidr={network.PODS}",
        "--conntrack-max-per-core=0",
        f"--healthz-bind-address={address}:10256",
        f"--metrics-bind-address={address}:10249",
    )
    return Daemon(name="kube-proxy", argv=argv, home=plane.home, join=join)
