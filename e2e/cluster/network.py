"""The cluster's network on the host: a bridge for each node, forwarding between them, one way out.

Node ``i`` has bridge ``kc<i>`` with 10.(88+i).0.1/16; the kernel routes between the bridges, so pods of two nodes
reach each other as on two machines of one network. A table of our own masquerades what leaves the cluster: the
bridge plug-in could, but starts iptables several times for each pod, and leaves its chains behind.

`Network.down` knows what is ours: bridges by their alias, tables by their name.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PODS = "10.88.0.0/14"
"""The range of all nodes' pods."""
MAX_NODES = 4
_HARDWARE = "02:00:0a:"
"""How the hardware addresses of our bridges begin: locally administered."""


class NetworkTakenError(Exception):
    """Somebody else's bridge has the name or the addresses that the cluster uses."""


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """One node's part of the network."""

    index: int

    @property
    def bridge(self) -> str:
        """Give the bridge's name."""
        return f"kc{self.index}"

    @property
    def gateway(self) -> str:
        """Give the bridge's address, which is the node's address too."""
        return f"10.{88 + self.index}.0.1"

    @property
    def range(self) -> str:
        """Give the node's network."""
        return f"10.{88 + self.index}.0.0/16"

    @property
    def pods(self) -> list[str]:
        """Give the addresses that pods get: more than twice what the kubelet admits."""
        return [f"10.{88 + self.index}.0.{last}" for last in range(2, 255)]


@dataclass(frozen=True, kw_only=True)
class Network:
    """The network of one cluster."""

    cluster: str
    nodes: int

    @property
    def subnets(self) -> list[Subnet]:
        """Give each node's part."""
        return [Subnet(index=index) for index in range(self.nodes)]

    def check(self) -> None:
        """Make sure that nobody else has what the cluster needs.

        Raises:
            NetworkTakenError: another cluster's bridges are there, or the addresses are routed elsewhere.
        """
        ours, others = self._bridges()
        if self.nodes and others:
            names = ", ".join(sorted(others))
            raise NetworkTakenError(f"{names}: there already, and not of cluster {self.cluster!r}; one fits at a time")
        for subnet in self.subnets:
            if subnet.bridge not in ours:
                _check_free(subnet)

    def up(self) -> None:
        """Make what is missing."""
        ours, _ = self._bridges()
        for subnet in self.subnets:
            if subnet.bridge not in ours:
                address = f"{_HARDWARE}{88 + subnet.index:02x}:00:01"
                _ip("link", "add", subnet.bridge, "address", address, "type", "bridge")
            _ip("link", "set", subnet.bridge, "alias", self._alias)
            _ip("address", "replace", f"{subnet.gateway}/16", "dev", subnet.bridge)
            _ip("link", "set", subnet.bridge, "up")
        rules = ruleset(self._table, pods=(pod for subnet in self.subnets for pod in subnet.pods))
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def down(self) -> None:
        """Remove bridges and tables."""
        ours, others = self._bridges()
        for bridge in ours:
            subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
        # kube-proxy's tables have fixed names, so they may be another cluster's.
        proxy = [] if others else ["ip kube-proxy", "ip6 kube-proxy"]
        for table in [f"ip {self._table}", *proxy] if shutil.which("nft") else []:
            subprocess.run(["nft", "delete", "table", *table.split()], check=False, capture_output=True)

    @property
    def _table(self) -> str:
        return f"workerpool-{self.cluster}"

    @property
    def _alias(self) -> str:
        return f"workerpool-operator e2e cluster {self.cluster}"

    def _bridges(self) -> tuple[set[str], set[str]]:
        """Give the names of this cluster's bridges, and of those that somebody else has under such names."""
        ours: set[str] = set()
        others: set[str] = set()
        for link in Path("/sys/class/net").glob("kc*"):
            alias, address = ((link / name).read_text().strip() for name in ("ifalias", "address"))
            # We died between making a bridge and naming it, where only our address tells it.
            unnamed = not alias and address.startswith(_HARDWARE)
            (ours if alias == self._alias or unnamed else others).add(link.name)
        return ours, others


def _check_free(subnet: Subnet) -> None:
    listed = _ip("-json", "route", "show", "root", subnet.range)
    if taken := [route["dst"] for route in json.loads(listed or "[]")]:
        raise NetworkTakenError(f"{subnet.range} is routed already ({', '.join(taken)}); the cluster needs it")


def ruleset(table: str, *, pods: Iterable[str]) -> str:
    """Give the nftables rules: pods leave the cluster under the host's address, and may call themselves.

    A pod that calls a Service and is sent to itself would see its own address as the caller's and drop the
    packet. kube-proxy cares for that on the node that it believes to be on; this set does for all nodes.

    The empty table in front makes the set the same however often it is loaded.
    """
    selves = ", ".join(f"{pod} . {pod}" for pod in pods)
    return f"""
table ip {table} {{}}
delete table ip {table}
table ip {table} {{
    set selves {{
        type ipv4_addr . ipv4_addr
        elements = {{ {selves} }}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {PODS} ip daddr != {PODS} oifname != "kc*" masquerade
        ct status dnat ip saddr . ip daddr @selves masquerade
    }}
}}
"""


def _ip(*arguments: str) -> str:
    result = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return result.stdout
