"""A node that a person empties: workers leave it one at a time, idle ones first, and never twice."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from tests.unit.domain.builders import NOW, WALL, memory, pool, settled
from workerpool_operator.api import Reason
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.objects import Delete
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.scaling import DRAIN, Drain, Pod, Report, overrides
from workerpool_operator.domain.snapshot import Memory, PodList, Snapshot

BEGUN = WALL - timedelta(seconds=60)
UNTIL = WALL + timedelta(seconds=600)
BEFORE, AFTER = "2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z"
ORDER = str(Drain(node="n1", begun=BEGUN, until=UNTIL))
WEB = pool(scaling={"mode": "manual"}, replicas=3)


@dataclass
class Pool:
    """Three workers, of which a and b are on node n1, looked at one time after another."""

    order: str = ORDER
    wall: datetime = WALL
    memory: Memory = field(default_factory=memory)
    now: float = NOW
    nodes: dict[str, str] = field(default_factory=lambda: {"a": "n1", "b": "n1", "c": "n2"})
    created: dict[str, str] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    fence: dict[str, str] = field(default_factory=dict)
    unready: set[str] = field(default_factory=set)

    def snapshot(self, *, listed: bool) -> Snapshot:
        of = WEB.changed(metadata=WEB.metadata.changed(annotations={DRAIN: self.order}))
        reports = {uid: self._report(uid) for uid in self.nodes}
        pods = PodList(active=tuple(self._pod(uid) for uid in self.nodes)) if listed else None
        more = {"reports": reports, "pods": pods, "memory": self.memory, "now": self.now, "wall_time": self.wall}
        return settled(of, 3, **more)

    def look(self, *, seconds: float = 1.0) -> Plan:
        """One look, with the pods listed where the plan asks for it; workers answer its fence before the next."""
        self.now += seconds
        made = plan(self.snapshot(listed=False))
        if made.wants_pods:
            made = plan(self.snapshot(listed=True))
        self.memory = made.memory
        if made.fence is not None:
            self.fence = dict.fromkeys(made.fence.pods, made.fence.fence_id)
        return made

    def replaced(self, uid: str, *, by: str, ready: bool) -> None:
        """Its pod has ended, and another is on the other node."""
        del self.nodes[uid]
        self.nodes[by] = "n2"
        self.created[by] = AFTER
        self.unready = set() if ready else {by}

    def _report(self, uid: str) -> Report:
        jobs = self.in_flight.get(uid, 0)
        return Report(
            uid=uid,
            age=0.0,
            in_flight=jobs,
            fence=self.fence.get(uid, ""),
            fenceable=True,
            connected=True,
            remaining=None if jobs else 0.0,
        )

    def _pod(self, uid: str) -> Pod:
        return Pod(
            name=f"web-{uid}",
            uid=uid,
            deployment=desired.revision_for(WEB).name,
            assigned=True,
            pending=False,
            ready=uid not in self.unready,
            created=self.created.get(uid, BEFORE),
            node=self.nodes[uid],
        )


def fenced(made: Plan) -> set[str]:
    return set(made.fence.pods) if made.fence else set()


def gone(made: Plan) -> list[str]:
    assert all(isinstance(one, Delete) and one.kind == "Pod" and one.uid for one in made.deletes)
    return [one.uid or "" for one in made.deletes]


def test_the_idle_one_leaves_first_and_only_when_it_takes_nothing_more() -> None:
    web = Pool(in_flight={"a": 2})
    first = web.look()
    assert (fenced(first), gone(first)) == ({"b"}, [])
    second = web.look()
    assert (fenced(second), gone(second), second.drained, second.restarted) == ({"b"}, ["b"], "web-b", "")
    assert (second.scaled, second.marks) == ((), ())


def test_the_next_one_leaves_when_another_has_taken_the_place() -> None:
    web = Pool()
    web.look()
    assert gone(web.look()) == ["a"]
    web.replaced("a", by="d", ready=False)
    waiting = [web.look(), web.look()]
    assert [(fenced(made), gone(made)) for made in waiting] == [(set(), []), (set(), [])]
    web.unready.clear()
    assert fenced(web.look()) == {"b"}
    assert gone(web.look()) == ["b"]


def test_nobody_leaves_while_a_deleted_one_is_not_yet_made_up_for() -> None:
    """The Deployment's own count comes late; the pods tell."""
    web = Pool()
    web.look()
    assert gone(web.look()) == ["a"]
    del web.nodes["a"]
    assert gone(web.look()) == []
    assert fenced(web.look()) == set()


def test_a_busy_one_that_is_fenced_is_kept_to_until_another_is_idle() -> None:
    """It can only become idler: to change over to one that has fewer jobs at this moment would go on for ever."""
    web = Pool(in_flight={"a": 5, "b": 6})
    assert fenced(web.look()) == {"a"}
    web.in_flight = {"a": 5, "b": 4}
    assert fenced(web.look()) == {"a"}
    web.in_flight = {"a": 5}
    assert fenced(web.look()) == {"b"}


def test_one_that_is_not_ready_leaves_although_workers_are_missing() -> None:
    web = Pool(unready={"a"})
    web.look()
    assert gone(web.look()) == ["a"]


def test_who_came_onto_the_node_after_it_began_stays() -> None:
    """Else a node that nobody cordoned would have its workers replaced over and over."""
    web = Pool(created=dict.fromkeys("ab", AFTER))
    assert (fenced(web.look()), gone(web.look())) == (set(), [])


def test_a_drain_that_is_over_lists_no_pods_and_lets_go() -> None:
    web = Pool(in_flight={"a": 1, "b": 1})
    assert fenced(web.look()) == {"a"}
    web.wall = UNTIL
    assert fenced(web.look()) == set()
    assert not plan(web.snapshot(listed=False)).wants_pods


def test_a_new_leader_goes_on() -> None:
    """Nothing of the leader before is needed."""
    web = Pool()
    web.look()
    web.memory = memory()
    web.look()
    assert gone(web.look()) == ["a"]


def test_while_it_lasts_the_pods_are_listed_now_and_then() -> None:
    web = Pool(nodes=dict.fromkeys("abc", "n2"))
    made = web.look()
    assert made.memory.pods_listed_at == web.now
    assert made.look_again is not None
    assert made.look_again <= 5.0
    again = plan(replace(web.snapshot(listed=False), now=web.now + 0.5))
    assert not again.wants_pods
    assert again.look_again == pytest.approx(0.5)


def test_each_that_leaves_is_an_event() -> None:
    web = Pool()
    web.look()
    made = web.look()
    found = web.snapshot(listed=False)
    told = status.announcements(found, made, status.build(found, made, refusals=()))
    assert [(one.reason, one.warning) for one in told if one.reason == Reason.WORKER_DRAINED] == [
        (Reason.WORKER_DRAINED, False)
    ]


def test_several_nodes_are_drained_at_a_time() -> None:
    said = overrides({DRAIN: f"{ORDER}, {ORDER.replace('n1', 'n2')}"})
    assert [one.node for one in said.drains] == ["n1", "n2"]
    assert said.draining(wall=WALL) == said.drains
    assert said.draining(wall=UNTIL) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n1",
        "n1@2026-01-01T00:00:00Z",
        "@2026-01-01T00:00:00Z/2026-01-01T01:00:00Z",
        "n1@2026-01-01T00:00:00/2026-01-01T01:00:00Z",
        "n1@2026-01-01T00:00:00Z/2026-01-01T01:00:00",
        f"{ORDER},n2",
    ],
)
def test_an_order_that_makes_no_sense_says_so_and_moves_nobody(text: str) -> None:
    said = overrides({DRAIN: text})
    assert said.drains == ()
    assert DRAIN in said.trouble


def test_an_order_is_written_as_it_is_read() -> None:
    assert Drain.parse(ORDER) == Drain(node="n1", begun=BEGUN, until=UNTIL)
