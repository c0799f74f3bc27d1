"""The definitions of kinds that are not Kubernetes' own and that the product uses where a cluster has them.

They are those that the prometheus-operator, cert-manager and KEDA publish (Apache-2.0), out of their Go modules, which
Go verifies by checksum: so tests meet the schema that users have, and no copy of it lies in the tree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import locks, paths, progress, toolchain


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a project keeps the definitions of its kinds."""

    name: str
    module: str
    version: str
    folder: str
    files: Sequence[str]


MONITORING = Source(
    name="prometheus-operator",
    module="github.com/prometheus-operator/prometheus-operator",
    version="v0.93.0",
    folder="example/prometheus-operator-crd",
    files=tuple(
        f"monitoring.coreos.com_{plural}.yaml" for plural in ("podmonitors", "prometheusrules", "servicemonitors")
    ),
)
CERT_MANAGER = Source(
    name="cert-manager",
    module="github.com/cert-manager/cert-manager",
    version="v1.21.2",
    folder="deploy/crds",
    files=("cert-manager.io_certificates.yaml", "cert-manager.io_issuers.yaml"),
)


def monitoring() -> tuple[Path, ...]:
    """Give the manifests of PodMonitor, PrometheusRule and ServiceMonitor, from the cache after the first time.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    return _cached(MONITORING)


def cert_manager() -> tuple[Path, ...]:
    """Give the manifests of Certificate and Issuer, from the cache after the first time.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    return _cached(CERT_MANAGER)


def keda() -> tuple[Path, ...]:
    """Give the manifests of KEDA's kinds, at the version that is built for tests.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    folder = toolchain.module_folder(toolchain.KEDA, "github.com/kedacore/keda/v2") / "config/crd/bases"
    return tuple(sorted(folder.glob("keda.sh_*.yaml")))


def _cached(source: Source) -> tuple[Path, ...]:
    folder = paths.cache_root() / "crds" / f"{source.name}-{source.version}"
    if not folder.exists():
        with locks.exclusive(paths.cache_root() / "build.lock", waiting_for="another build of the cluster's programs"):
            if not folder.exists():
                _fetch(source, folder)
    return tuple(folder / name for name in source.files)


def _fetch(source: Source, folder: Path) -> None:
    with progress.Step(f"fetching the definitions of {source.name} (once)"):
        module = _download(source) / source.folder
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name in source.files:
            shutil.copyfile(module / name, draft / name)
        draft.rename(folder)


def _download(source: Source) -> Path:
    compiler = toolchain.go()
    module = f"{source.module}@{source.version}"
    if compiler is None:
        raise toolchain.ToolchainError(f"{module} has to be fetched and there is no Go here: install Go 1.26 or later")
    command = [compiler, "mod", "download", "-json", module]
    # Outside of every module, or Go would judge it by ours.
    result = subprocess.run(command, cwd=paths.cache_root(), check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise toolchain.ToolchainError(f"`{' '.join(command)}` failed:\n{(result.stderr or result.stdout)[-2000:]}")
    return Path(json.loads(result.stdout)["Dir"])
