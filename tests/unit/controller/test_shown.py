"""What the metrics say of the versions that are there."""

from workerpool_operator.api import WorkerPoolStatus
from workerpool_operator.api.status import VersionStatus
from workerpool_operator.controller.shown import roles
from workerpool_operator.metrics import VersionRole


def status(*versions: tuple[str, str, str]) -> WorkerPoolStatus:
    """Of (hash, revision, role) each."""
    found = [VersionStatus(hash=one, revision=revision, role=role) for one, revision, role in versions]
    return WorkerPoolStatus(versions=tuple(found))


def test_a_version_in_two_revisions_has_one_role() -> None:
    """A change of the nodes, for example, moves the workers of one version to a second Deployment."""
    found = status(("aaaa", "2", "stable"), ("aaaa", "1", "draining"), ("aaaa", "0", "draining"))
    assert roles(found) == (VersionRole("aaaa", "stable"),)


def test_the_role_does_not_depend_on_the_order() -> None:
    """Stable goes before canary, and that before draining."""
    found = status(
        ("bbbb", "1", "draining"), ("aaaa", "1", "draining"), ("bbbb", "2", "canary"), ("aaaa", "2", "stable")
    )
    assert roles(found) == (VersionRole("bbbb", "canary"), VersionRole("aaaa", "stable"))
