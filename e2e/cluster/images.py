"""Images without a registry and without a Docker engine: debootstrap makes the base, buildah builds on it.

Layers are kept in a storage of our own in the cache, so a second build of unchanged sources takes a second or
two; put dependencies in a layer below the code. Where the host trusts more than the public authorities
(``SSL_CERT_FILE``), its bundle is mounted over the image's while a build runs, and is never part of the image.

    >>> image = build(dockerfile=root / "Dockerfile", tag="workerpool-operator:e2e", context=root)
    >>> cluster.load_image("workerpool-operator:e2e")
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from e2e.cluster import debian, locks, paths, progress
from e2e.cluster.base import ClusterError, Image

BASE_ARGUMENT = "BASE"
"""The build argument by which this project's Dockerfiles take their base image."""

_SUITE = "bookworm"
_PACKAGES = ("python3", "python3-venv", "python3-pip", "ca-certificates")
_MIRROR = "http://deb.debian.org/debian"
_NOT_NEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/i18n",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
_KEPT = 5
"""Builds of one image that are kept."""
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def build(
    *, dockerfile: Path, tag: str, context: Path, build_args: Mapping[str, str] | None = None, target: str | None = None
) -> Image:
    """Build an image on the local base image (or on the one that ``build_args`` names).

    Raises:
        ClusterError: the build failed; the message ends with what it said.
    """
    arguments = {BASE_ARGUMENT: base_image(), **(build_args or {})}
    with progress.Step(f"building image {tag}"):
        image = _bud(dockerfile=dockerfile, tag=tag, context=context, arguments=arguments, target=target)
    _prune(image.reference.rpartition(":")[0])
    return image


def base_image() -> str:
    """Give the name of the local stand-in for ``python:3.x-slim``, made on first use."""
    dockerfile = paths.SOURCE / "dockerfiles" / "base" / "Dockerfile"
    recipe = "\n".join((_SUITE, *_PACKAGES, *_NOT_NEEDED, dockerfile.read_text()))
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    tag = normalize(f"workerpool-operator/python-base:{_SUITE}-{key}")
    debian.ensure(debian.IMAGES)
    with locks.exclusive(_root() / "base.lock", waiting_for="another build of the base image"):
        if _identity(tag) is None:
            context = _root() / f"base-{key}"
            _bootstrap(context / "rootfs.tar")
            _bud(dockerfile=dockerfile, tag=tag, context=context, arguments={}, target=None)
    return tag


def find(reference: str) -> Image:
    """Give a built image by its name.

    Raises:
        ClusterError: there is none of that name.
    """
    tag = normalize(reference)
    identity = _identity(tag) if shutil.which("buildah") else None
    if identity is None:
        raise ClusterError(f"no image {tag} was built here; build it with e2e.cluster.images.build first")
    return Image(reference=tag, identity=identity)


@contextlib.contextmanager
def exported(image: Image) -> Iterator[Path]:
    """Give the image as a docker archive, for as long as the context lasts (uncompressed: it goes nowhere)."""
    with tempfile.TemporaryDirectory(dir=_root()) as folder:
        archive = Path(folder) / "image.tar"
        _buildah("push", "--quiet", image.identity, f"docker-archive:{archive}:{image.reference}")
        yield archive


def normalize(reference: str) -> str:
    """Give an image's full name, as Kubernetes completes a short one.

    >>> normalize("worker")
    'docker.io/library/worker:latest'
    """
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        name, tag = reference, "latest"
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    return f"{name}:{tag}"


def _bud(*, dockerfile: Path, tag: str, context: Path, arguments: Mapping[str, str], target: str | None) -> Image:
    _buildah(
        "build",
        "--layers",
        "--pull-never",
        "--format=docker",
        f"--file={dockerfile}",
        f"--tag={normalize(tag)}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *([f"--target={target}"] if target else []),
        *_trust(),
        str(context),
    )
    return find(tag)


def _trust() -> list[str]:
    """Let a build trust what the host trusts; without the variable, the image's own bundle is enough."""
    bundle = os.environ.get("SSL_CERT_FILE")
    return [f"--volume={bundle}:{_BUNDLE}:ro"] if bundle and Path(bundle).is_file() else []


def _prune(repository: str) -> None:
    """Take the names off all but the newest builds of a repository: tests name each build after its sources."""
    listed = json.loads(_buildah("images", "--json", f"--filter=reference={repository}"))
    newest_first = sorted(listed, key=lambda one: one["created"], reverse=True)
    names = [name for one in newest_first for name in one["names"] or [] if name.startswith(f"{repository}:")]
    for name in names[_KEPT:]:
        _run("rmi", name)


def _identity(tag: str) -> str | None:
    result = _run("inspect", "--type=image", "--format={{.FromImageID}}", tag)
    return result.stdout.strip() or None if result.returncode == 0 else None


def _buildah(*arguments: str) -> str:
    result = _run(*arguments)
    if result.returncode != 0:
        said = "\n".join((result.stdout + result.stderr).splitlines()[-40:])
        raise ClusterError(f"buildah {arguments[0]} failed:\n{said}")
    return result.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    store = ["--root", str(_root() / "storage"), "--runroot", str(_root() / "run"), "--storage-driver", "overlay"]
    settings = _root() / "containers.conf"
    # Builds use the host's network; by default buildah makes its folder for others in /etc nevertheless.
    settings.write_text(f'[network]\nnetwork_config_dir = "{_root() / "networks"}"\n')
    env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "CONTAINERS_CONF": str(settings)}
    return subprocess.run(["buildah", *store, *arguments], env=env, check=False, capture_output=True, text=True)


def _root() -> Path:
    root = paths.cache_root() / "images"
    root.mkdir(parents=True, exist_ok=True)
    return root


def _bootstrap(archive: Path) -> None:
    """Make the base's root file system; the Debian mirror is taken from ``DEBIAN_MIRROR`` where it is set."""
    if archive.exists():
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    mirror = os.environ.get("DEBIAN_MIRROR", _MIRROR)
    with (
        progress.Step(f"making the base image from Debian {_SUITE} (about 1 min, once)"),
        tempfile.TemporaryDirectory(dir=archive.parent) as folder,
    ):
        root = Path(folder) / "rootfs"
        include = f"--include={','.join(_PACKAGES)}"
        _check(["debootstrap", "--variant=minbase", include, _SUITE, str(root), mirror])
        for name in _NOT_NEEDED:
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True)
        draft = archive.with_suffix(".tmp")
        _check(["tar", "--create", "--numeric-owner", "--directory", str(root), f"--file={draft}", "."])
        draft.replace(archive)


def _check(command: list[str]) -> None:
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise ClusterError(f"{command[0]} failed:\n{(result.stdout + result.stderr)[-2000:]}")
