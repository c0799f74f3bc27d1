"""Which events are about a pool."""

import pytest

from workerpool_operator.cli.events import Happening, about


def happening(kind: str, name: str) -> Happening:
    return Happening(namespace="media", time="", count=1, type="Warning", reason="R", kind=kind, name=name, message="m")


@pytest.mark.parametrize(
    ("kind", "name", "of_it"),
    [
        ("WorkerPool", "thumbs", True),
        ("WorkerPool", "thumbs-2", False),
        ("HorizontalPodAutoscaler", "thumbs", True),
        ("HorizontalPodAutoscaler", "keda-hpa-thumbs", True),
        ("HorizontalPodAutoscaler", "keda-hpa-thumbs-2", False),
        ("ScaledObject", "thumbs", True),
        ("ScaledObject", "mails", False),
        ("PodDisruptionBudget", "thumbs", True),
        ("Deployment", "thumbs-0123abcd-0123ab", True),
        ("Pod", "thumbs-0123abcd-0123ab-c0ffee-7d9f8b-x2x4z", True),
        ("Pod", "thumbs-api-7d9f8b-x2x4z", False),
        ("Pod", "mythumbs-0123abcd-0123ab-x", False),
        ("Job", "thumbs", False),
    ],
)
def test_what_was_made_for_a_pool_is_part_of_it(*, kind: str, name: str, of_it: bool) -> None:
    """In mode keda KEDA's objects tell why nothing scales."""
    assert about(happening(kind, name), "thumbs") is of_it


@pytest.mark.parametrize(("kind", "shown"), [("WorkerPool", True), ("ScaledObject", False), ("Pod", False)])
def test_of_all_pools_only_what_is_said_of_themselves(*, kind: str, shown: bool) -> None:
    """Whose a pod is that is called so, nobody knows then."""
    assert about(happening(kind, "thumbs-0123abcd-0123ab"), "") is shown
