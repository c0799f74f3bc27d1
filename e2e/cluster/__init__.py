"""A real Kubernetes for the tests: with real pods, on one machine, with or without Docker.

On the command line: ``uv run python -m e2e.cluster --help``. From Python::

    from e2e.cluster import Extra, Wish, get

    cluster = get(wish=Wish(extra=Extra(audit=True)))   # kind, local, or the one of E2E_KUBECONFIG
    cluster.up()
    cluster.build_image(dockerfile=root / "Dockerfile", tag="workerpool-operator:e2e", context=root, build_args={})
    cluster.load_image("workerpool-operator:e2e")
    cluster.stop_node(cluster.nodes[1])                 # a power cut; start_node brings it back
    cluster.stop_apiserver()                            # an outage; start_apiserver ends it
    cluster.down()

and for tests that need an API server but no pods, `e2e.cluster.controlplane.ControlPlane`.

The parts, from the outside in: ``cli`` and ``provider`` choose; ``local``, ``kind`` and ``external`` are the ways to
a cluster; ``local`` is made of ``controlplane``, ``services``, ``network`` and ``node``; what these tell their
programs is rendered by the pure ``arguments`` and ``nodeconfig``; below lie ``processes``, ``cgroups``, ``mounts``,
``pki``, ``toolchain``, ``debian`` and ``images``.
"""

from __future__ import annotations

from e2e.cluster.arguments import Extra
from e2e.cluster.base import Cluster, ClusterError, Image, Part, Wish
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.provider import Provider, get

__all__ = ["Cluster", "ClusterError", "ControlPlane", "Extra", "Image", "Part", "Provider", "Wish", "get"]
