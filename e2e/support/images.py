"""The images of the product, of its reference workers, and of Redis: built from the tree where they are missing.

A tag is a hash of the sources, so a changed source is another image for everybody (Helm rolls the operator, pools
get a new version), and an unchanged one is not even built. On a cluster from outside, set the environment variables
to images that it can pull.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import Cluster, ClusterError, toolchain
from e2e.cluster.toolchain import Program

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""

_IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one image is made, and the variable that names a ready one instead."""

    name: str
    dockerfile: str
    context: str = ""
    sources: tuple[str, ...] = ()
    variable: str
    program: Program | None = None
    """What has to be built first: the folder that it lies in is the context then."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """More of the Dockerfile's build arguments. They are no part of the tag: what they choose is in `sources`."""

    def tag(self) -> str:
        """Give the image's name with the hash of its sources."""
        digest = hashlib.sha256(self.program.key().encode() if self.program else b"")
        for source in (self.dockerfile, *self.sources):
            for path in _files(ROOT / source):
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
        return f"{self.name}:{digest.hexdigest()[:12]}"


_CODE = ("operator/workerpool_operator", "workers/src", "requirements.lock", ".dockerignore")
OPERATOR = Recipe(
    name="workerpool-operator",
    dockerfile="Dockerfile",
    context=".",
    sources=_CODE,
    variable="E2E_OPERATOR_IMAGE",
)


def _reference(name: str, *, lock: str, variable: str) -> Recipe:
    """The image of a reference worker."""
    folder = f"workers/reference/{name}"
    return Recipe(
        name=f"workerpool-worker-{name}",
        dockerfile=f"{folder}/Dockerfile",
        context=".",
        sources=(folder, "workers/reference/common", lock, "workers/src", ".dockerignore"),
        variable=variable,
    )


_LOCK = "workers/reference/requirements.lock"
WORKER = _reference("io", lock=_LOCK, variable="E2E_WORKER_IMAGE")
CPU = _reference("cpu", lock="workers/reference/cpu/requirements.lock", variable="E2E_CPU_WORKER_IMAGE")
HYBRID = _reference("hybrid", lock=_LOCK, variable="E2E_HYBRID_WORKER_IMAGE")
THREADS = _reference("threads", lock="workers/reference/threads/requirements.lock", variable="E2E_THREADS_WORKER_IMAGE")


def adapted(library: str) -> Recipe:
    """The image of workers of another library, with the app of e2e/adapters/apps that is named like it."""
    lock = f"e2e/adapters/locks/{library}.lock"
    return Recipe(
        name=f"workerpool-adapted-{library}",
        dockerfile="e2e/adapters/Dockerfile",
        context=".",
        sources=(lock, "e2e/adapters/apps", "workers/src", ".dockerignore"),
        variable=f"E2E_{library.upper()}_IMAGE",
        arguments={"LIBRARY": library},
    )


REDIS = Recipe(
    name="workerpool-redis",
    dockerfile="e2e/cluster/dockerfiles/redis/Dockerfile",
    context="e2e/cluster/dockerfiles/redis",
    variable="E2E_REDIS_IMAGE",
)


def ensure(cluster: Cluster, recipe: Recipe) -> str:
    """Give the name of an image that the nodes of the cluster have, building and loading what is missing.

    Raises:
        ClusterError: it cannot be built or loaded; for a cluster from outside, the message names the variable.
    """
    if given := os.environ.get(recipe.variable):
        return given
    if cluster.provider == "external":
        raise ClusterError(f"set {recipe.variable} to an image of {recipe.name} that the cluster can pull")
    tag = recipe.tag()
    try:
        cluster.load_image(tag)
    except ClusterError:  # not built yet
        build(cluster, recipe, tag=tag)
    return tag


def build(cluster: Cluster, recipe: Recipe, *, tag: str, root: Path = ROOT) -> None:
    """Build an image, of this tree or of a copy of it, and give it to the nodes.

    Raises:
        ClusterError: it cannot be built or loaded.
    """
    dockerfile, context = root / recipe.dockerfile, root / recipe.context
    if recipe.program:
        toolchain.ensure(recipe.program)
        context = toolchain.path(recipe.program).parent
    cluster.build_image(
        dockerfile=dockerfile, tag=tag, context=context, build_args={**_pip_settings(), **recipe.arguments}
    )
    cluster.load_image(tag)


def _pip_settings() -> dict[str, str]:
    """Pass on where pip finds packages, where this machine's users have set it."""
    index = os.environ.get("PIP_INDEX_URL")
    return {"PIP_INDEX_URL": index} if index else {}


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        found = (each for each in sorted(path.rglob("*")) if each.is_file())
        yield from (each for each in found if not _IGNORED & set(each.parts))
