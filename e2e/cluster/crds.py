"""The definitions of kinds that are not Kubernetes' own and that the product uses where a cluster has them.

They are those that the prometheus-operator and KEDA publish (Apache-2.0), out of their Go modules, which Go verifies by
checksum: so tests meet the schema that users have, and no copy of it lies in the tree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from e2e.cluster import locks, paths, progress, toolchain

MODULE = "github.com/prometheus-operator/prometheus-operator"
VERSION = "v0.93.0"
_FOLDER = "example/prometheus-operator-crd"
_PLURALS = ("podmonitors", "prometheusrules", "servicemonitors")


def monitoring() -> tuple[Path, ...]:
    """Give the manifests of PodMonitor, PrometheusRule and ServiceMonitor, from the cache after the first time.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    folder = paths.cache_root() / "crds" / f"prometheus-operator-{VERSION}"
    if not folder.exists():
        with locks.exclusive(paths.cache_root() / "build.lock", waiting_for="another build of the cluster's programs"):
            if not folder.exists():
                _fetch(folder)
    return tuple(folder / _name(plural) for plural in _PLURALS)


def keda() -> tuple[Path, ...]:
    """Give the manifests of KEDA's kinds, at the version that is built for tests.

    Raises:
        ToolchainError: no Go here, or the module cannot be fetched.
    """
    folder = toolchain.module_folder(toolchain.KEDA, "github.com/kedacore/keda/v2") / "config/crd/bases"
    return tuple(sorted(folder.glob("keda.sh_*.yaml")))


def _fetch(folder: Path) -> None:
    with progress.Step("fetching the definitions of the prometheus-operator (once)"):
        source = _download() / _FOLDER
        draft = folder.with_name(f".{folder.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for plural in _PLURALS:
            shutil.copyfile(source / _name(plural), draft / _name(plural))
        draft.rename(folder)


def _download() -> Path:
    compiler = toolchain.go()
    if compiler is None:
        raise toolchain.ToolchainError(f"{MODULE} has to be fetched and there is no Go here: install Go 1.26 or later")
    command = [compiler, "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    # Outside of every module, or Go would judge it by ours.
    result = subprocess.run(command, cwd=paths.cache_root(), check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise toolchain.ToolchainError(f"`{' '.join(command)}` failed:\n{(result.stderr or result.stdout)[-2000:]}")
    return Path(json.loads(result.stdout)["Dir"])


def _name(plural: str) -> str:
    return f"monitoring.coreos.com_{plural}.yaml"
