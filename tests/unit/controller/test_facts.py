"""What is known of the cluster stays known while it cannot be asked."""

from typing import cast

import pytest

from workerpool_operator.controller.facts import FactsKeeper
from workerpool_operator.kube import Kube, errors


class Server:
    """Answers with these versions, one after the other; None is an outage."""

    def __init__(self, *versions: tuple[int, int] | None) -> None:
        self._versions = list(versions)

    async def server_version(self) -> tuple[int, int]:
        version = self._versions.pop(0)
        if version is None:
            raise errors.Unavailable("away")
        return version


def keeper(server: Server) -> tuple[FactsKeeper, list[str]]:
    told: list[str] = []
    return FactsKeeper(cast("Kube", server), serves_metric=True, changed=lambda: told.append("changed")), told


async def test_an_upgrade_is_told_once() -> None:
    facts, told = keeper(Server((1, 34), (1, 35), (1, 35)))
    for _ in range(3):
        await facts.refresh()
    assert facts().kubernetes == (1, 35)
    assert told == ["changed", "changed"]


async def test_an_outage_changes_nothing() -> None:
    facts, told = keeper(Server((1, 35), None))
    await facts.refresh()
    with pytest.raises(errors.Unavailable):
        await facts.refresh()
    assert facts().kubernetes == (1, 35)
    assert told == ["changed"]
