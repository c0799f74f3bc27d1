"""Who holds and wants what of the budgets, as this replica knows it, beside what their status says.

Two pools of one budget are reconciled at the same time, and each may only rely on what is written: a seat is given by a
write of the budget's status, made onto exactly the state that it was worked out from, and taken by a pool only after
that. Between the two lies this ledger. It tells the budget what pools hold from the moment at which they decide to ask
for it, before they do; and it tells pools of what is about to be taken from them from the moment at which that is
decided, before it is written. A write that was not answered stays in force here until a newer state is seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from workerpool_operator import api
from workerpool_operator.api import BudgetPool, Reason, WorkerPool, WorkerPoolBudget
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.store import Store, Stored
from workerpool_operator.domain.scaling import Claim, PoolId
from workerpool_operator.domain.selector import selects
from workerpool_operator.domain.snapshot import Absence, Seats
from workerpool_operator.kube import kinds

BudgetName: TypeAlias = str

_ABSENCES: Final = {
    Absence.NOT_SERVED: "the cluster has no such kind: apply crds/ of the operator's release",
    Absence.FORBIDDEN: "the operator may not list them: its ClusterRole lacks what the chart gives it",
}


@dataclass(frozen=True, slots=True)
class _Offer:
    """Grants that are being written onto this version of the budget."""

    version: int
    grants: Mapping[PoolId, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """A budget as understood at this version; its lines by pool, because each pool asks for its own at each look."""

    version: int
    budget: WorkerPoolBudget | None
    lines: Mapping[PoolId, BudgetPool]


@dataclass(frozen=True, slots=True)
class _Heard:
    """A pool's last claim, and what it knew of its budget then."""

    claim: Claim
    seats: Seats


@dataclass(slots=True)
class Ledger:
    """Claims and offers by budget. `on_claim(budget)` is told when a pool wants, holds or leaves something else."""

    on_claim: Callable[[BudgetName], None] = lambda _: None
    _heard: dict[BudgetName, dict[PoolKey, _Heard]] = field(default_factory=dict)
    _offers: dict[BudgetName, _Offer] = field(default_factory=dict)
    _known: dict[BudgetName, _Read] = field(default_factory=dict)

    def begin_term(self) -> None:
        """What was heard in an earlier term is void."""
        self._heard.clear()
        self._offers.clear()

    def claim(self, key: PoolKey, claim: Claim | None, seats: Seats | None) -> None:
        """A pool says what it wants, and what it holds from now on. None: it names no budget."""
        self._leave(key, but=seats.budget if seats else "")
        if claim is None or seats is None:
            return
        heard, before = _Heard(claim, seats), self._heard.get(seats.budget, {}).get(key)
        self._heard.setdefault(seats.budget, {})[key] = heard
        if before is None or before.claim != claim:
            self.on_claim(seats.budget)

    def withdraw(self, key: PoolKey) -> None:
        """A pool is gone."""
        self._leave(key, but="")

    def claims(self, budget: BudgetName) -> dict[PoolKey, Claim]:
        """What has been heard of the budget's pools in this term."""
        return {key: heard.claim for key, heard in self._heard.get(budget, {}).items()}

    def offer(self, budget: BudgetName, grants: Mapping[PoolId, int], *, version: int) -> None:
        """These grants are being written onto that version; until a newer one is seen, the smaller of both counts."""
        before = self._offers.get(budget)
        if before is not None and before.version == version:
            grants = {pool: min(grant, before.grants.get(pool, grant)) for pool, grant in grants.items()}
        self._offers[budget] = _Offer(version, grants)

    def budget(self, store: Store, name: BudgetName) -> WorkerPoolBudget | None:
        """The budget, or None where there is none that can be understood."""
        read = self._read(store, name)
        return read.budget if read else None

    def seats(self, store: Store, pool: WorkerPool) -> Seats | None:
        """What the pool's budget lets it have at this moment."""
        ref = pool.spec.scaling.budget
        return None if ref is None else self._seats(store, ref.name, PoolKey(pool.namespace, pool.name))

    def misinformed(self, store: Store, budget: BudgetName) -> list[PoolKey]:
        """Pools that have planned with something else than what the budget lets them have now."""
        known = self._heard.get(budget, {})
        return [key for key, heard in known.items() if _word(self._seats(store, budget, key)) != _word(heard.seats)]

    def refusal(self, store: Store, budget: WorkerPoolBudget, namespace: str) -> tuple[Reason, str] | None:
        """Why pools of the namespace get nothing of the budget."""
        if budget.spec.namespace_selector is None:
            return None
        space = store.get(kinds.NAMESPACE, "", namespace)
        absence = store.absence(kinds.NAMESPACE)
        if space is None or absence is not None:
            return Reason.BUDGET_UNREADABLE, f"the labels of namespace {namespace} cannot be read"
        if selects(budget.spec.namespace_selector, space.unpack()["metadata"].get("labels", {})):
            return None
        return Reason.BUDGET_REFUSED, f"WorkerPoolBudget {budget.name} is not for namespace {namespace}"

    def _read(self, store: Store, name: BudgetName) -> _Read | None:
        stored = store.get(kinds.WORKER_POOL_BUDGET, "", name)
        if stored is None or store.absence(kinds.WORKER_POOL_BUDGET) is not None:
            self._known.pop(name, None)
            return None
        known = self._known.get(name)
        if known is None or known.version != stored.version:
            known = self._known[name] = _understood(stored)
        return known

    def _seats(self, store: Store, name: BudgetName, key: PoolKey) -> Seats:
        read = self._read(store, name)
        if read is None or read.budget is None:
            reason, message = self._unread(store, name)
            return Seats(budget=name, reason=reason, message=message)
        pool = (key.namespace, key.name)
        line = read.lines.get(pool)
        reserved = max(line.granted, line.used) if line else 0
        refused = self.refusal(store, read.budget, key.namespace)
        if refused is not None:
            return Seats(budget=name, reserved=reserved, reason=refused[0], message=refused[1])
        if line is None:
            return Seats(budget=name, message=f"WorkerPoolBudget {name} has not counted the pool in yet")
        return Seats(budget=name, granted=self._unless_taken(store, name, pool, line.granted), reserved=reserved)

    def _unless_taken(self, store: Store, name: BudgetName, pool: PoolId, granted: int) -> int:
        """What is written, less what is being taken away."""
        offer, stored = self._offers.get(name), store.get(kinds.WORKER_POOL_BUDGET, "", name)
        if offer is None or stored is None or offer.version != stored.version:
            return granted
        return min(granted, offer.grants.get(pool, 0))

    @staticmethod
    def _unread(store: Store, name: BudgetName) -> tuple[Reason, str]:
        absence = store.absence(kinds.WORKER_POOL_BUDGET)
        if absence is not None:
            return Reason.BUDGET_UNREADABLE, f"WorkerPoolBudgets cannot be read: {_ABSENCES[absence]}"
        if store.get(kinds.WORKER_POOL_BUDGET, "", name) is not None:
            return Reason.BUDGET_UNREADABLE, f"WorkerPoolBudget {name} is not one that this operator understands"
        return Reason.BUDGET_NOT_FOUND, f"there is no WorkerPoolBudget {name}: make it, or name another"

    def _leave(self, key: PoolKey, *, but: BudgetName) -> None:
        """Forget what the pool claimed of other budgets."""
        left = [name for name, known in self._heard.items() if name != but and key in known]
        for name in left:
            del self._heard[name][key]
            self.on_claim(name)


def _understood(stored: Stored) -> _Read:
    try:
        budget = api.parse_budget(stored.unpack())
    except api.InvalidPoolError:
        return _Read(stored.version, None, {})
    return _Read(stored.version, budget, {(line.namespace, line.name): line for line in budget.status.pools})


def _word(seats: Seats) -> tuple[int | None, Reason]:
    """What a pool plans by."""
    return seats.granted, seats.reason
