"""What is remembered of service accounts, and for how long."""

from typing import Any, cast

import pytest

from workerpool_operator.controller import accounts
from workerpool_operator.controller.accounts import REMEMBER_SECONDS, Accounts
from workerpool_operator.kube import Kube, errors


class Server:
    """Has one account, or refuses to say."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.error: errors.KubeError | None = None
        self.asked: list[dict[str, Any]] = []

    async def all(self) -> list[dict[str, Any]]:
        if self.error:
            raise self.error
        return self.found

    def list(self, _: object, **how: Any) -> "Server":
        self.asked.append(how)
        return self


class Bench:
    def __init__(self) -> None:
        self.server, self.now = Server(), 100.0
        self.accounts = Accounts(kube=cast("Kube", self.server), clock=lambda: self.now)

    async def usable(self, name: str = "uploader", namespace: str = "media") -> bool:
        return await self.accounts.usable(namespace, name)


async def test_it_asks_for_that_name_with_the_label_in_that_namespace() -> None:
    bench = Bench()
    assert not await bench.usable()
    assert bench.server.asked == [
        {
            "namespace": "media",
            "field_selector": "metadata.name=uploader",
            "label_selector": "workerpool.dev/usable=true",
        }
    ]


async def test_an_answer_holds_for_some_seconds_each_for_its_own_account() -> None:
    bench = Bench()
    bench.server.found = [{}]
    assert await bench.usable()
    bench.server.found = []
    bench.now += REMEMBER_SECONDS - 1
    assert await bench.usable()
    assert not await bench.usable(namespace="mail")
    bench.now += 1
    assert not await bench.usable()


async def test_nobody_is_usable_by_an_error_and_it_is_not_remembered() -> None:
    bench = Bench()
    bench.server.error = errors.Unavailable("away")
    with pytest.raises(errors.Unavailable):
        await bench.usable()
    bench.server.error, bench.server.found = None, [{}]
    assert await bench.usable()


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MOST", 2)
    bench = Bench()
    for name in ("a", "b", "c"):
        await bench.usable(name)
    await bench.usable("c")
    await bench.usable("a")
    assert [how["field_selector"][-1] for how in bench.server.asked] == ["a", "b", "c", "a"]
