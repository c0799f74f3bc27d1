"""Budgets and pools together: what is written first, and what holds when it is refused, late, or not answered."""

from typing import Any, cast

import pytest

from tests.support.pools import pool
from workerpool_operator.api import Reason, WorkerPool
from workerpool_operator.controller.budgets import QUIET_WRITE_SECONDS, BudgetReconciler
from workerpool_operator.controller.keys import BudgetKey, PoolKey
from workerpool_operator.controller.ledger import Ledger
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.scaling import Claim
from workerpool_operator.domain.snapshot import Absence, Seats
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

TEAM = BudgetKey("team")
A, B = PoolKey("media", "a"), PoolKey("media", "b")


class Pods:
    """What a LIST of pods gives."""

    def __init__(self, bodies: list[dict[str, Any]]) -> None:
        self.bodies = bodies

    async def all(self) -> list[dict[str, Any]]:
        return self.bodies


class Server:
    """Holds one budget; refuses a write onto an older state, and can fail before or after it has written."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.writes: list[dict[str, Any]] = []
        self.fails: errors.KubeError | None = None
        self.loses_answer = False
        self.pods: list[dict[str, Any]] = []

    def list(self, kind: object, **_: Any) -> Pods:
        assert kind == kinds.POD
        return Pods(self.pods)

    async def merge_patch(
        self, ref: ObjectRef, patch: dict[str, Any], *, subresource: str, uid: str, resource_version: str
    ) -> dict[str, Any]:
        assert (ref.name, subresource, uid) == ("team", "status", "u")
        if self.fails:
            raise self.fails
        if resource_version != self.body["metadata"]["resourceVersion"]:
            raise errors.Conflict("older")
        self.body = {**self.body, "metadata": self._next(), "status": patch["status"]}
        self.writes.append(patch["status"])
        if self.loses_answer:
            raise errors.RequestTimeout("no answer")
        return self.body

    def edit(self, **spec: Any) -> dict[str, Any]:
        """Somebody changes the spec."""
        self.body = {**self.body, "metadata": self._next(), "spec": self.body["spec"] | spec}
        return self.body

    def _next(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.body["metadata"]
        return {**metadata, "resourceVersion": str(int(metadata["resourceVersion"]) + 1)}


class Scene:
    """A budget `team`, its pools, and what the operator knows of them."""

    def __init__(self, most: int, **spec: Any) -> None:
        self.server = Server(
            {
                "apiVersion": "workerpool.dev/v1alpha1",
                "kind": "WorkerPoolBudget",
                "metadata": {"name": "team", "uid": "u", "generation": 1, "resourceVersion": "100"},
                "spec": {"maxReplicas": most, **spec},
            }
        )
        self.now = 1000.0
        self.asked: list[str] = []
        self.due: list[PoolKey] = []
        self.store, self.ledger = Store(), Ledger(on_claim=self.asked.append)
        self.budgets = self._reconciler()
        self.store.put(kinds.WORKER_POOL_BUDGET, self.server.body)
        for version, key in enumerate((A, B), start=1):
            metadata = {"name": key.name, "namespace": key.namespace, "uid": key.name, "resourceVersion": str(version)}
            spec = {"scaling": {"budget": {"name": "team"}}}
            self.store.put(kinds.WORKER_POOL, {"metadata": metadata, "spec": spec})

    def _reconciler(self) -> BudgetReconciler:
        return BudgetReconciler(
            kube=cast("Kube", self.server),
            store=self.store,
            ledger=self.ledger,
            clock=lambda: self.now,
            due=self.due.append,
        )

    def claim(self, key: PoolKey, wanted: int, used: int = 0, **more: Any) -> None:
        """The pool plans with what it is told now."""
        claim = Claim(pool=(key.namespace, key.name), wanted=wanted, used=used, **more)
        self.ledger.claim(key, claim, self.ledger.seats(self.store, named(key)))

    def granted(self, key: PoolKey) -> int | None:
        return self.seats(key).granted

    def seats(self, key: PoolKey) -> Seats:
        found = self.ledger.seats(self.store, named(key))
        assert found is not None
        return found

    def hear(self) -> None:
        """The watch brings the newest state."""
        self.store.put(kinds.WORKER_POOL_BUDGET, self.server.body)

    async def share(self) -> None:
        await self.budgets.reconcile(TEAM)


def named(key: PoolKey) -> WorkerPool:
    return pool(key.name, key.namespace, scaling={"budget": {"name": "team"}})


async def test_a_seat_is_taken_only_after_it_is_written() -> None:
    scene = Scene(5)
    scene.claim(A, 9)
    assert scene.asked == ["team"]
    assert scene.seats(A).reason is Reason.BUDGET_PENDING
    await scene.share()
    assert (scene.granted(A), scene.due) == (5, [A])
    [line] = scene.server.writes[-1]["pools"]
    assert (line["name"], line["wanted"], line["granted"], line["used"]) == ("a", 9, 5, 0)


async def test_two_pools_that_look_at_once_never_both_take_the_last_seat() -> None:
    scene = Scene(1)
    scene.claim(A, 9)
    scene.claim(B, 9)
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [1, 0]


async def test_what_a_pool_is_about_to_ask_for_counts_before_anybody_has_seen_it() -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    await scene.share()
    scene.claim(A, 4, used=4)  # it has planned to take them, and has not written a Deployment yet
    scene.claim(B, 4)
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [2, 0]
    scene.claim(A, 4, used=2)
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [2, 2]


async def test_what_is_being_taken_away_is_not_used_while_the_write_is_under_way_or_unanswered() -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    await scene.share()
    scene.claim(B, 4)
    scene.server.loses_answer = True
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [2, None], "taken from the one, and not given to the other"
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [2, None], "a conflict with its own write changes nothing"
    scene.hear()
    assert [scene.granted(A), scene.granted(B)] == [2, 2]


async def test_a_write_that_was_refused_is_made_again_onto_the_newer_state() -> None:
    scene = Scene(4)
    scene.claim(A, 9)
    scene.server.edit(maxReplicas=3)
    assert (await scene.budgets.reconcile(TEAM)).look_again is not None
    assert scene.granted(A) is None
    scene.hear()
    await scene.share()
    assert scene.granted(A) == 3


async def test_the_api_server_being_away_is_a_failure_that_comes_back() -> None:
    scene = Scene(4)
    scene.claim(A, 9)
    scene.server.fails = errors.RequestTimeout("no answer")
    assert (await scene.budgets.reconcile(TEAM)).failed


async def test_a_new_leader_trusts_the_ledger_until_it_hears_of_the_pools() -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    await scene.share()
    scene.ledger.begin_term()
    scene.claim(B, 4)
    await scene.share()
    assert scene.seats(A).reserved == 4, "it may have taken all that it was given"
    assert scene.granted(B) == 0


async def test_a_pool_that_names_another_budget_gives_its_seats_back_at_once() -> None:
    scene = Scene(4)
    scene.claim(A, 4, used=4)
    await scene.share()
    scene.ledger.claim(A, None, None)
    scene.store.drop(kinds.WORKER_POOL, A.namespace, A.name)
    metadata = {"name": "a", "namespace": "media", "uid": "a2", "resourceVersion": "9"}
    scene.store.put(kinds.WORKER_POOL, {"metadata": metadata, "spec": {}})
    scene.claim(B, 4)
    await scene.share()
    assert scene.granted(B) == 4
    assert [line["name"] for line in scene.server.writes[-1]["pools"]] == ["b"]


async def test_a_pool_that_is_deleted_has_its_seats_until_its_workers_are_gone() -> None:
    scene = Scene(4)
    scene.claim(A, 4, used=4)
    await scene.share()
    scene.claim(B, 4)
    scene.store.drop(kinds.WORKER_POOL, A.namespace, A.name)
    scene.ledger.withdraw(A)
    deployment = {"name": "a-1", "namespace": "media", "uid": "d", "resourceVersion": "5", "labels": {POOL_LABEL: "a"}}
    scene.store.put(kinds.DEPLOYMENT, {"metadata": deployment})
    assert (await scene.budgets.reconcile(TEAM)).look_again is not None
    assert scene.granted(B) == 0, "its Deployment is there"
    scene.store.drop(kinds.DEPLOYMENT, "media", "a-1")
    stopping = {"name": "p", "uid": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    scene.server.pods = [{"metadata": stopping, "status": {"phase": "Running"}}]
    await scene.share()
    assert scene.granted(B) == 3
    scene.server.pods = []
    await scene.share()
    assert scene.granted(B) == 4


async def test_a_budget_that_is_gone_leaves_nobody_a_grant_and_tells_all() -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    await scene.share()
    scene.claim(A, 4)
    scene.due.clear()
    scene.store.drop(kinds.WORKER_POOL_BUDGET, "", "team")
    await scene.share()
    assert (scene.seats(A).granted, scene.seats(A).reason, scene.due) == (None, Reason.BUDGET_NOT_FOUND, [A])


@pytest.mark.parametrize("absence", list(Absence))
async def test_budgets_that_cannot_be_read_leave_nobody_a_grant(absence: Absence) -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    await scene.share()
    scene.store.set_absence(kinds.WORKER_POOL_BUDGET, absence)
    assert (scene.seats(A).granted, scene.seats(A).reason) == (None, Reason.BUDGET_UNREADABLE)


async def test_a_budget_of_other_rules_leaves_nobody_a_grant() -> None:
    scene = Scene(4)
    scene.store.put(kinds.WORKER_POOL_BUDGET, scene.server.edit(maxReplicas="many"))
    scene.claim(A, 4)
    await scene.share()
    assert scene.seats(A).reason is Reason.BUDGET_UNREADABLE


def labelled(scene: Scene, version: int, **labels: str) -> None:
    metadata = {"name": "media", "uid": "n", "resourceVersion": str(version), "labels": labels}
    scene.store.put(kinds.NAMESPACE, {"metadata": metadata})


async def test_a_budget_is_for_the_namespaces_that_it_selects() -> None:
    scene = Scene(4, namespaceSelector={"matchLabels": {"team": "gpu"}})
    scene.claim(A, 4)
    assert scene.seats(A).reason is Reason.BUDGET_UNREADABLE, "the namespace is not known yet"
    labelled(scene, 1)
    await scene.share()
    assert scene.seats(A).reason is Reason.BUDGET_REFUSED
    assert scene.server.body.get("status", {}).get("pools", []) == []
    labelled(scene, 2, team="gpu")
    await scene.share()
    assert scene.granted(A) == 4


async def test_workers_of_a_namespace_that_is_left_out_count_as_long_as_they_are_there() -> None:
    """They stay at work, so that nobody else may have their seats."""
    scene = Scene(4, namespaceSelector={"matchLabels": {"team": "gpu"}})
    labelled(scene, 1, team="gpu")
    scene.claim(A, 4, used=0)
    await scene.share()
    scene.claim(A, 4, used=3)
    labelled(scene, 2)
    await scene.share()
    assert scene.seats(A).reason is Reason.BUDGET_REFUSED
    lines = scene.server.body["status"]["pools"]
    assert [(line["name"], line["used"], line["wanted"]) for line in lines] == [(A.name, 3, 0)]
    scene.claim(A, 4, used=0)
    await scene.share()
    assert scene.server.body["status"]["pools"] == []


async def test_a_pool_s_own_priority_counts_as_far_as_the_budget_lets_it() -> None:
    scene = Scene(4, maxPriority=5)
    scene.claim(A, 4, priority=5)
    scene.claim(B, 4, priority=1000)
    await scene.share()
    assert [scene.granted(A), scene.granted(B)] == [2, 2]


async def test_what_is_only_wanted_is_written_now_and_then() -> None:
    scene = Scene(4)
    scene.claim(A, 9)
    await scene.share()
    scene.claim(A, 10)
    again = await scene.budgets.reconcile(TEAM)
    assert (len(scene.server.writes), again.look_again) == (1, QUIET_WRITE_SECONDS)
    scene.now += QUIET_WRITE_SECONDS
    await scene.share()
    assert [write["wanted"] for write in scene.server.writes] == [9, 10]
    await scene.share()
    assert len(scene.server.writes) == 2


async def test_a_pool_that_says_the_same_again_troubles_nobody() -> None:
    scene = Scene(4)
    scene.claim(A, 4)
    scene.claim(A, 4)
    assert scene.asked == ["team"]
