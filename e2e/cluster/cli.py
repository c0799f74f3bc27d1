"""A real Kubernetes for the end-to-end tests, on this machine.

up          start the cluster, or what is missing of it, and wait until its nodes are Ready
down        end it and remove all that it had on the host (caches stay)
status      show part by part what runs; exit code 1 unless all does
load-image  give the nodes an image that was built on this machine
stop-node   lose a node as by a power cut; start-node brings it back
env         print the variables for a shell to evaluate
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from e2e.cluster import local, progress, provider
from e2e.cluster.arguments import Extra
from e2e.cluster.base import DEFAULT_NAME, Cluster, ClusterError, Wish
from e2e.cluster.network import NetworkTakenError
from e2e.cluster.processes import DaemonDiedError
from e2e.cluster.provider import Provider
from e2e.cluster.store import ImageImportError
from e2e.cluster.toolchain import ToolchainError

_EXAMPLES = """\
examples:
  uv run python -m e2e.cluster up
  eval "$(uv run python -m e2e.cluster env)" && kubectl get nodes
  uv run python -m e2e.cluster load-image workerpool-operator:e2e
  uv run python -m e2e.cluster up --nodes 0 --name api-only
  uv run python -m e2e.cluster up --feature-gate HPAScaleToZero=true \\
      --controller-manager-arg=--horizontal-pod-autoscaler-sync-period=2s
  uv run python -m e2e.cluster down

environment:
  E2E_KUBECONFIG   a cluster that is there already: it is used as it is, up and down do nothing
  XDG_CACHE_HOME   the caches' place (default ~/.cache); XDG_STATE_HOME: the state's (default ~/.local/state)
  SSL_CERT_FILE    authorities to trust while images are built
  DEBIAN_MIRROR    where the base image comes from (default http://deb.debian.org/debian)
"""

_ERRORS = (ClusterError, ToolchainError, DaemonDiedError, NetworkTakenError, ImageImportError, TimeoutError)


def main(arguments: Sequence[str]) -> int:
    """Run one command; give its exit code."""
    options = parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](_cluster(options), options)
    except _ERRORS as error:
        progress.say(f"error: {error}")
        return 2


def parser() -> argparse.ArgumentParser:
    """Give the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m e2e.cluster",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("command", choices=sorted(_COMMANDS), metavar="command", help=", ".join(_COMMANDS))
    top.add_argument("what", nargs="?", help="of load-image: NAME:TAG; of stop-node and start-node: the node")
    top.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    top.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    top.add_argument("--nodes", type=int, help="nodes with real pods, 0 to 4 (default: 2); 0 needs no root")
    top.add_argument("--feature-gate", action="append", default=[], metavar="NAME=true|false")
    for program in ("apiserver", "controller-manager", "scheduler"):
        top.add_argument(f"--{program}-arg", action="append", default=[], metavar="--FLAG=VALUE")
    top.add_argument("--audit", action="store_true", help="have the API server write an audit log (local only)")
    return top


def _cluster(options: argparse.Namespace) -> Cluster:
    if options.command == "up":
        return provider.get(wish=_wish(options), provider=options.provider)
    return provider.get(name=options.name, provider=options.provider)


def _wish(options: argparse.Namespace) -> Wish:
    extra = Extra(
        apiserver_args=tuple(options.apiserver_arg),
        controller_manager_args=tuple(options.controller_manager_arg),
        scheduler_args=tuple(options.scheduler_arg),
        feature_gates=_gates(options.feature_gate),
        audit=options.audit,
    )
    known = local.recall(options.name)
    nodes = options.nodes if options.nodes is not None else known.nodes if known else Wish().nodes
    return Wish(name=options.name, nodes=nodes, extra=extra)


def _gates(given: Sequence[str]) -> Mapping[str, bool]:
    gates = {}
    for gate in given:
        name, _, value = gate.partition("=")
        if value not in {"true", "false"}:
            raise ClusterError(f"--feature-gate takes NAME=true or NAME=false, not {gate!r}")
        gates[name] = value == "true"
    return gates


def _up(cluster: Cluster, options: argparse.Namespace) -> int:
    started = time.monotonic()
    cluster.up()
    progress.say(
        f"cluster {options.name} ({cluster.provider}) is up, after {time.monotonic() - started:.1f} s; "
        f'next: eval "$(python -m e2e.cluster env --name {options.name})"'
    )
    return 0


def _down(cluster: Cluster, options: argparse.Namespace) -> int:
    started = time.monotonic()
    cluster.down()
    progress.say(f"cluster {options.name} ({cluster.provider}) is down, after {time.monotonic() - started:.1f} s")
    return 0


def _status(cluster: Cluster, _options: argparse.Namespace) -> int:
    parts = cluster.status()
    for part in parts:
        print(f"{part.name:26} {'up' if part.up else 'DOWN':5} {part.detail}")
    if not parts:
        print("no such cluster")
    return 0 if parts and all(part.up for part in parts) else 1


def _load_image(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.load_image(_what(options, "the image's NAME:TAG"))
    return 0


def _stop_node(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.stop_node(_what(options, "the node's name"))
    return 0


def _start_node(cluster: Cluster, options: argparse.Namespace) -> int:
    cluster.start_node(_what(options, "the node's name"))
    return 0


def _what(options: argparse.Namespace, wanted: str) -> str:
    if not options.what:
        raise ClusterError(f"{options.command} takes {wanted}")
    return str(options.what)


def _env(cluster: Cluster, options: argparse.Namespace) -> int:
    variables = {**cluster.environment(), "E2E_PROVIDER": cluster.provider, "E2E_CLUSTER": options.name}
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    if not cluster.kubeconfig.exists():
        progress.say(f"cluster {options.name} is not up yet")
    if sys.stdout.isatty():
        progress.say('# to use it: eval "$(python -m e2e.cluster env)"')
    return 0


_COMMANDS: Mapping[str, Callable[[Cluster, argparse.Namespace], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "load-image": _load_image,
    "stop-node": _stop_node,
    "start-node": _start_node,
    "env": _env,
}
