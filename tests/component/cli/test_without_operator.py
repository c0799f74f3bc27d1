"""A cluster without the operator, whose API server has never heard of WorkerPools."""

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool

pytestmark = [pytest.mark.component, pytest.mark.apiserver]


@pytest.mark.parametrize("words", [["get"], ["describe", "thumbs"], ["top"], ["explain", "thumbs"]], ids=" ".join)
async def test_a_sentence_asks_for_the_operator(plane: ControlPlane, namespace: str, words: list[str]) -> None:
    shown = await wpool(plane, *words, "--namespace", namespace)
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "Is the operator installed in this cluster?" in shown.stderr
