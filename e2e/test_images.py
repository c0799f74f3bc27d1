"""The images as they are built here: how large they are, as whom they run, and what is not in them."""

from __future__ import annotations

import pytest

from e2e.scene import Scene
from e2e.support import archives
from e2e.support.archives import Archive
from e2e.support.stack import NAMESPACE, Stack

pytestmark = pytest.mark.core

MEGABYTE = 1_000_000
MOST = {"operator": 140 * MEGABYTE, "worker": 65 * MEGABYTE}
"""Bytes on top of the base image. docs/contributing/releases.md says what they are today."""


@pytest.fixture(scope="module", params=["operator", "worker"])
def named(request: pytest.FixtureRequest, stack: Stack) -> tuple[str, Archive]:
    """What it is of, and what is in it."""
    name: str = request.param
    found = archives.read(stack.cluster, getattr(stack.images, name))
    if found is None:
        pytest.skip("the images of this cluster were not built here")
    return name, found


def test_an_image_is_no_larger_than_it_has_to_be(named: tuple[str, Archive]) -> None:
    """What lies on the base, uncompressed: a dependency that brings its own world is noticed."""
    name, image = named
    size = sum(layer.size for layer in image.ours)
    listed = "\n".join(f"{layer.size / MEGABYTE:8.1f} MB  {layer.made_by[:100]}" for layer in image.layers)
    print(f"{name}: {size / MEGABYTE:.1f} MB on the base\n{listed}")
    assert 10 * MEGABYTE < size <= MOST[name], listed


def test_it_runs_as_nobody_in_particular_and_nothing_in_it_is_for_that_user_to_change(
    named: tuple[str, Archive],
) -> None:
    """Root owns all files; none lends its owner's rights, and none can be written by others."""
    _, image = named
    assert image.config["User"] == "10001:10001"
    files = [file for layer in image.ours for file in layer.files if file.isfile()]
    assert len(files) > 100
    assert [file.name for file in files if file.uid != 0 or file.mode & 0o6002] == []


def test_what_only_its_build_needs_is_not_in_it(named: tuple[str, Archive]) -> None:
    """Neither pip, nor tests, nor anything of the project that it does not run."""
    _, image = named
    names = [file.name for layer in image.ours for file in layer.files]
    assert any(name.endswith("/site-packages/pydantic/__init__.py") for name in names)
    assert not [name for name in names if "/site-packages/pip/" in name or name.startswith(("build", "root/.cache"))]
    assert not [name for name in names if "/kubernetes/" in name and name.endswith("_api.py")]
    assert not [name for name in names if name.startswith(("app/tests", "app/e2e", "app/bench", "app/docs"))]


def test_the_pods_that_run_them_can_write_nothing_but_what_they_are_given(scene: Scene) -> None:
    """Operator, collector and workers alike: root file system read-only, no root, no way to become it."""
    scene.apply("hardened", scaling={"minReplicas": 1, "maxReplicas": 1})
    (worker,) = scene.wait_workers("hardened", 1).values()
    operator = scene.kubectl.list("pods", namespace=NAMESPACE, selector="app.kubernetes.io/component=operator")
    collector = scene.kubectl.list("pods", namespace=scene.namespace, selector="app.kubernetes.io/component=collector")
    assert operator
    assert collector
    for pod in (worker, *operator, *collector):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, container["name"]
            assert context["allowPrivilegeEscalation"] is False, container["name"]
            assert context["capabilities"] == {"drop": ["ALL"]}, container["name"]
