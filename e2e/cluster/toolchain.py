"""The programs of the local cluster, built once from Go modules and kept in the cache.

Why built: the Go module proxy is reachable wherever the project's dependencies are, while release downloads
and container registries may not be. Each program's folder is keyed by a hash of all that determines it, so a
changed ``go.mod`` builds anew beside the old one, and a second run starts at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import locks, paths, progress

KUBERNETES = "1.36.3"
"""Must agree with ``programs/go.mod``; without it in the link flags, the server calls itself v0.0.0."""

NODE_PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)

_TRIM = "-s -w"
_MAJOR, _MINOR, _ = KUBERNETES.split(".")
_VERSION = "k8s.io/component-base/version"
_NODE_FLAGS = (
    f"{_TRIM} -X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor={_MAJOR} -X {_VERSION}.gitMinor={_MINOR}"
)


class ToolchainError(Exception):
    """A program cannot be built here; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Something that ``go`` builds.

    ``package`` is a folder of a local module (``.``, ``./pause``), a package that a local module requires, or a
    remote ``module/path@version``.
    """

    name: str
    package: str
    module: str = "programs"
    """Folder of the local module that it is built in."""
    flags: str = _TRIM
    tags: str = ""
    links: tuple[str, ...] = ()
    minutes: float = 0.2
    """How long a cold build took on two cores: what the user is told to expect."""

    @property
    def remote(self) -> bool:
        """Tell whether it is built from the module proxy alone."""
        return "@" in self.package

    def key(self) -> str:
        """Hash all that determines the binary, but for the Go version, which ``go.mod`` bounds."""
        parts = [self.package.encode(), self.flags.encode(), platform.machine().encode()]
        if self.tags:
            parts.append(self.tags.encode())
        if not self.remote:
            parts += [source.read_bytes() for source in self._sources()]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]

    def _sources(self) -> list[Path]:
        module = paths.SOURCE / self.module
        main = module / self.package / "main.go"
        return [module / "go.mod", *([main] if main.exists() else [])]


NODE = Program(name="node", package=".", flags=_NODE_FLAGS, links=NODE_PROGRAMS, minutes=8)
PAUSE = Program(name="pause", package="./pause")
COREDNS = Program(name="coredns", package="github.com/coredns/coredns@v1.12.4", minutes=3)
HELM = Program(name="helm", package="helm.sh/helm/v4/cmd/helm@v4.3.1", minutes=4)
KWOK = Program(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok@v0.8.0", minutes=2)
KIND = Program(name="kind", package="sigs.k8s.io/kind@v0.33.0", minutes=1)
NATS_SERVER = Program(name="nats-server", package="github.com/nats-io/nats-server/v2@v2.15.2", minutes=1)
"""No part of a cluster: a broker that component tests run against."""
PROMETHEUS = Program(
    name="prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    module="programs/prometheus",
    tags="remove_all_sd,enable_kubernetes_sd",
    minutes=5,
)
"""Finds its targets in Kubernetes and nowhere else, which halves the build. Debian's cannot find them there."""
PROMETHEUS_ADAPTER = Program(
    name="adapter",
    package="sigs.k8s.io/prometheus-adapter/cmd/adapter",
    module="programs/prometheus-adapter",
    minutes=5,
)
"""In a module of its own, as it stands on an older Kubernetes than the node."""
KEDA = Program(name="keda", package="github.com/kedacore/keda/v2/cmd/operator", module="programs/keda", minutes=10)
KEDA_ADAPTER = Program(
    name="keda-adapter", package="github.com/kedacore/keda/v2/cmd/adapter", module="programs/keda", minutes=1
)
"""Both halves of KEDA, for the tests of mode keda and for the benchmarks that compare with it."""

LOKI = Program(name="loki", package="github.com/grafana/loki/v3/cmd/loki", module="programs/loki", minutes=10)
OTELCOL = Program(name="otelcol", package=".", module="programs/otelcol", minutes=3)
"""The OpenTelemetry Collector. With Loki it is for the tests of shipping logs alone."""

LOCAL_CLUSTER = (PAUSE, NODE, COREDNS, HELM)
"""What a local cluster with nodes needs."""


def ensure(*programs: Program) -> None:
    """Build what is not in the cache yet, telling progress on stderr.

    Raises:
        ToolchainError: no Go here, or the build failed.
    """
    for program in programs:
        if _binary(program).exists():
            continue
        with locks.exclusive(paths.cache_root() / "build.lock", waiting_for="another build of the cluster's programs"):
            if not _binary(program).exists():
                _build(program)


def path(program: Program) -> Path:
    """Give the built program's path; `ensure` it first."""
    return _binary(program)


def module_folder(program: Program, name: str) -> Path:
    """Give the folder of a Go module, at the version by which the program is built.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    compiler = go()
    if compiler is None:
        raise ToolchainError(f"{name} has to be fetched and there is no Go here: install Go 1.26 or later")
    command = [compiler, "mod", "download", "-json", name]
    folder = paths.SOURCE / program.module
    result = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise ToolchainError(f"`{' '.join(command)}` failed:\n{(result.stderr or result.stdout)[-2000:]}")
    return Path(json.loads(result.stdout)["Dir"])


def node_program(name: str) -> Path:
    """Give the link by whose name the multi-call binary runs as one of its programs."""
    return _binary(NODE).parent / name


def search_path() -> str:
    """Give the folders of all built user programs (kubectl, helm, ...), to be put in front of ``PATH``."""
    folders = [_folder(program) for program in (NODE, HELM, KWOK, KIND)]
    return os.pathsep.join(str(folder) for folder in folders if folder.exists())


def go() -> str | None:
    """Find the Go command: on ``PATH``, or where its own installer puts it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def _folder(program: Program) -> Path:
    return paths.cache_root() / "bin" / f"{program.name}-{program.key()}"


def _binary(program: Program) -> Path:
    return _folder(program) / program.name


def _build(program: Program) -> None:
    compiler = go()
    if compiler is None:
        raise ToolchainError(
            f"{program.name} has to be built and there is no Go here: install Go 1.26 or later "
            "(https://go.dev/dl) so that `go` is on PATH or in /usr/local/go/bin"
        )
    folder = _folder(program)
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with progress.Step(f"building {program.name} (about {program.minutes:g} min on two cores, once)"):
            _compile(compiler, program, draft)
        for link in program.links:
            (draft / link).symlink_to(program.name)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _compile(compiler: str, program: Program, draft: Path) -> None:
    flags = ["-trimpath", "-ldflags", program.flags, *(["-tags", program.tags] if program.tags else [])]
    env: Mapping[str, str] = {**os.environ, "CGO_ENABLED": "0"}
    if program.remote:
        command = [compiler, "install", *flags, program.package]
        env = {**env, "GOBIN": str(draft)}
        folder = draft
    else:
        command = [compiler, "build", *flags, "-o", str(draft / program.name), program.package]
        folder = paths.SOURCE / program.module
    result = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise ToolchainError(f"`{' '.join(command)}` failed:\n{result.stderr[-4000:]}")
