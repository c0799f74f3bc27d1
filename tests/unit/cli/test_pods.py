"""One pod in a word."""

from typing import Any

import pytest

from workerpool_operator.cli.pods import pod_state


def pod(name: str, *, ready: bool = True, **fields: Any) -> dict[str, Any]:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], **fields}
    return {"metadata": {"name": name}, "status": status}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (pod("p"), "Ready"),
        (pod("p", ready=False), "NotReady"),
        (pod("p", ready=False, phase="Pending"), "Pending"),
        (
            pod("p", ready=False, containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]),
            "ImagePullBackOff",
        ),
        ({"metadata": {"name": "p", "deletionTimestamp": "2026-01-02T03:04:05Z"}}, "Draining"),
    ],
)
def test_the_state_of_a_pod(found: dict[str, Any], state: str) -> None:
    assert pod_state(found) == state
