"""Fixtures of the end-to-end tests: the product on a cluster, installed once, and a namespace to play in.

`scene` is a namespace with a Redis that tests share, since starting a collector and a Redis costs seconds; each test
makes pools with names of its own, which go at its end. `own_scene` is a namespace of the test's own, for what would
disturb the others. When a test fails, its report ends with what was going on in its namespace.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from e2e.scene import Scene, new_scene
from e2e.support import diagnose
from e2e.support.stack import TEST_VALUES, Stack

SECONDS = 600
"""For a test that says nothing else: e2e tests wait for pods to start and to drain."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are end-to-end tests."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what was going on in the cluster when a test failed."""
    report = yield
    if report.failed:
        fixtures: dict[str, object] = getattr(item, "funcargs", {})
        for scene in [one for one in fixtures.values() if isinstance(one, Scene)]:
            report.sections.append((f"namespace {scene.namespace}", diagnose.report(scene.kubectl, scene.namespace)))
    return report


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The product on a cluster that is up; what is missing of both is made."""
    return Stack.ensure(values=TEST_VALUES)


@pytest.fixture(scope="session")
def _shared(stack: Stack) -> Iterator[Scene]:
    with new_scene(stack) as scene:
        # As long as it is there the collector stays, which would else come and go with each test's pools.
        scene.apply("resident")
        yield scene


@pytest.fixture
def scene(_shared: Scene) -> Iterator[Scene]:
    """The shared namespace. The pools that the test makes go at its end."""
    _shared.made.clear()
    yield _shared
    if _shared.made:
        _shared.kubectl.delete("workerpool", *_shared.made, namespace=_shared.namespace)


@pytest.fixture
def own_scene(stack: Stack) -> Iterator[Scene]:
    """A namespace of the test's own."""
    with new_scene(stack) as scene:
        yield scene
