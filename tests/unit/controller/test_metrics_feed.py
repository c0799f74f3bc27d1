"""What the process that answers is told: everything once, then what is news."""

import asyncio
from dataclasses import dataclass

from tests.support.pools import pool_body
from workerpool_operator.controller.metrics_feed import Changes, Feed
from workerpool_operator.controller.store import Store
from workerpool_operator.kube import kinds
from workerpool_operator.metrics_api.messages import BEAT_SECONDS, Update
from workerpool_operator.metrics_api.mirror import Mirror
from workerpool_operator.serve.values import Value, ValueBoard


@dataclass
class Lead:
    leads_until: float = 0.0
    holder_address: str = ""


class Scene:
    """An operator whose process is told of everything."""

    def __init__(self) -> None:
        self.now = 100.0
        self.changes, self.store, self.lead = Changes(), Store(), Lead()
        self.board = ValueBoard(on_change=self.changes.note, clock=lambda: self.now)
        self.restart()

    def restart(self) -> None:
        """Another process, which has been told nothing."""
        self.feed = Feed(store=self.store, board=self.board, lead=self.lead, changes=self.changes)
        self.mirror = Mirror(clock=lambda: self.now)

    def add(self, name: str) -> None:
        body = pool_body(name=name, namespace="media")
        body["metadata"] |= {"uid": name, "resourceVersion": "1"}
        self.store.put(kinds.WORKER_POOL, body)

    def want(self, name: str, value: int) -> None:
        self.board.read("media", name, "main", age=0.0, stale_after=5.0)
        self.board.publish("media", name, value, queues=("main",))

    def tell(self) -> int:
        """Tell what is news; how many pools were spoken of."""
        updates = [Update.of(line) for line in self.feed.lines(now=self.now)]
        for update in updates:
            self.mirror.take(update)
        return sum(len(update.there) + len(update.gone) for update in updates)

    def value(self, name: str) -> int | None:
        found = self.mirror.get("media", name)
        return None if found is None else found.value


def leading() -> Scene:
    """A leader with two pools, `web` wants 7 workers, and all of that told."""
    scene = Scene()
    scene.add("web")
    scene.add("api")
    scene.lead.leads_until = 110.0
    scene.board.begin()
    scene.want("web", 7)
    assert scene.tell() == 2
    return scene


def test_a_process_is_told_everything_at_first() -> None:
    scene = leading()
    assert (scene.mirror.open, scene.mirror.leads()) == (True, True)
    assert sorted(scene.mirror.pools("media")) == ["api", "web"]
    assert scene.mirror.get("media", "web") == Value(7, 100.0, 105.0)
    assert scene.value("api") is None


def test_its_successor_is_told_everything_again() -> None:
    scene = leading()
    scene.restart()
    assert scene.tell() == 2
    assert scene.value("web") == 7


def test_then_it_is_told_what_is_news() -> None:
    scene = leading()
    assert scene.tell() == 0
    scene.want("api", 2)
    assert scene.tell() == 1
    scene.now += 3.0
    scene.board.read("media", "web", "main", age=0.0, stale_after=5.0)
    assert scene.tell() == 1
    assert scene.mirror.get("media", "web") == Value(7, 103.0, 108.0)
    scene.board.withdraw("media", "web")
    assert scene.tell() == 1
    assert (scene.value("web"), scene.value("api")) == (None, 2)


def test_a_term_takes_the_values_of_the_last_one() -> None:
    """Though it ended and began within one look."""
    scene = leading()
    scene.board.end()
    scene.board.begin()
    scene.tell()
    assert scene.mirror.open
    assert scene.value("web") is None


def test_a_role_that_changes_is_told_without_any_pool() -> None:
    scene = leading()
    scene.board.end()
    scene.lead.leads_until, scene.lead.holder_address = float("-inf"), "10.0.0.2:6443"
    scene.tell()
    assert (scene.mirror.open, scene.mirror.leads(), scene.mirror.leader()) == (False, False, "10.0.0.2:6443")


def test_pools_that_come_and_go_are_told_within_a_beat() -> None:
    scene = leading()
    scene.add("new")
    scene.store.drop(kinds.WORKER_POOL, "media", "api")
    assert scene.tell() == 0
    scene.now += BEAT_SECONDS
    assert scene.tell() == 2
    assert sorted(scene.mirror.pools("media")) == ["new", "web"]


def test_a_new_pool_is_told_at_once_with_its_value() -> None:
    scene = leading()
    scene.add("new")
    scene.want("new", 1)
    assert scene.tell() == 1
    assert scene.value("new") == 1


def test_a_value_of_a_pool_that_is_not_there_is_not_told() -> None:
    scene = leading()
    scene.want("ghost", 1)
    assert scene.tell() == 0


async def test_changes_are_waited_for_and_gathered() -> None:
    changes = Changes()
    waiting = asyncio.create_task(changes.wait(seconds=60.0))
    await asyncio.sleep(0)
    changes.note([("media", "web")])
    changes.note([("media", "api"), ("media", "web")])
    await waiting
    assert changes.take() == {("media", "web"), ("media", "api")}
    assert changes.take() == set()
    await changes.wait(seconds=0.0)
