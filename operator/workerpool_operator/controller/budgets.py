"""One budget: counts what its pools hold and want, and writes down what each may have. Then the pools may take it.

The status is written onto exactly the state that it was worked out from. So of two operators that believe to lead, one
is refused; and after a restart the status says what pools may have taken, whoever wrote it, and however far they came.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from workerpool_operator.api import MAX_POOLS, BudgetPool, BudgetStatus, WorkerPoolBudget
from workerpool_operator.controller.keys import BudgetKey, PoolKey
from workerpool_operator.controller.ledger import Ledger
from workerpool_operator.controller.pods import pods_of
from workerpool_operator.controller.queue import Outcome
from workerpool_operator.controller.store import Store
from workerpool_operator.domain.scaling import Claim, settle
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

OVERTAKEN_SECONDS: Final = 0.2
"""A write onto an outdated state is made again this soon; the watch brings the newer one meanwhile."""
DEPARTED_SECONDS: Final = 2.0
"""How often it is looked whether the workers of a deleted pool have ended."""
QUIET_WRITE_SECONDS: Final = 10.0
"""What is only wanted is written at most this often; what is held or granted, at once."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class BudgetReconciler:
    """Reconciles budgets. `due(pool)` is told of each pool that may have something else than it knows."""

    kube: Kube
    store: Store
    ledger: Ledger
    clock: Callable[[], float]
    due: Callable[[PoolKey], None]
    _written_at: dict[str, float] = field(default_factory=dict)

    async def reconcile(self, key: BudgetKey) -> Outcome:
        """Share the budget out anew, by what is known now."""
        budget = self.ledger.budget(self.store, key.name)
        if budget is None:
            self._tell(key.name)
            return Outcome()
        try:
            departed = await self._departed(budget)
        except errors.KubeError as error:
            _log.warning("pods_not_listed", budget=key.name, error=str(error))
            return Outcome(failed=True)
        # From here to the write nothing is waited for: what pools hold is counted, and what is taken from them said, in
        # one moment.
        budget = self.ledger.budget(self.store, key.name)
        if budget is None:
            self._tell(key.name)
            return Outcome()
        after = self._shared(budget, departed)
        urgent, moved = _changed(budget.status, after)
        quiet = self._written_at.get(key.name, float("-inf")) + QUIET_WRITE_SECONDS - self.clock()
        outcome = Outcome(look_again=DEPARTED_SECONDS if departed else None)
        if urgent or (moved and quiet <= 0):
            self._written_at[key.name] = self.clock()
            outcome = await self._write(budget, after) or outcome
        elif moved:
            outcome = Outcome(look_again=min(quiet, outcome.look_again or quiet))
        self._tell(key.name)
        return outcome

    async def _departed(self, budget: WorkerPoolBudget) -> dict[PoolKey, int]:
        """Pools that are gone, and how many of their workers are still there."""
        found: dict[PoolKey, int] = {}
        for line in budget.status.pools:
            key = PoolKey(line.namespace, line.name)
            if self.store.get(kinds.WORKER_POOL, key.namespace, key.name) is not None:
                continue
            if self.store.children(kinds.DEPLOYMENT, key.namespace, key.name):
                found[key] = max(line.granted, line.used)
                continue
            pods = await pods_of(self.kube, key)
            if left := len(pods.active) + len(pods.terminating):
                found[key] = left
        return found

    def _shared(self, budget: WorkerPoolBudget, departed: dict[PoolKey, int]) -> BudgetStatus:
        before = {PoolKey(line.namespace, line.name): line for line in budget.status.pools}
        claims = [
            Claim(
                pool=(key.namespace, key.name),
                wanted=claim.wanted,
                guaranteed=claim.guaranteed,
                priority=min(claim.priority, budget.spec.max_priority),
                used=claim.used,
                granted=before[key].granted if key in before else 0,
            )
            for key, claim in self._claims(budget, before, departed).items()
        ]
        grants = settle(claims, budget.spec.max_replicas)
        lines = tuple(
            BudgetPool(
                namespace=claim.pool[0],
                name=claim.pool[1],
                priority=claim.priority,
                guaranteed=claim.guaranteed,
                wanted=claim.wanted,
                granted=grants[claim.pool],
                used=claim.used,
            )
            for claim in sorted(claims, key=lambda claim: claim.pool)
        )
        return BudgetStatus(
            observed_generation=budget.metadata.generation,
            wanted=sum(line.wanted for line in lines),
            granted=sum(line.granted for line in lines),
            used=sum(line.used for line in lines),
            pools=lines,
        )

    def _claims(
        self, budget: WorkerPoolBudget, before: dict[PoolKey, BudgetPool], departed: dict[PoolKey, int]
    ) -> dict[PoolKey, Claim]:
        """What each pool claims: by its own word, or while it has said nothing yet, by what is on record of it."""
        heard = self.ledger.claims(budget.name)
        found = {
            key: claim for key, claim in heard.items() if self.ledger.refusal(self.store, budget, key.namespace) is None
        }
        for key, line in before.items():
            pool = (key.namespace, key.name)
            if key in departed:
                found[key] = Claim(pool=pool, wanted=0, used=departed[key])
            elif key in heard and key not in found and heard[key].used:
                # Not for its namespace any more, or its labels cannot be read: the workers stay, so they count.
                found[key] = Claim(pool=pool, wanted=0, used=heard[key].used)
            elif key not in heard and self._names(key, budget.name):
                found[key] = Claim(
                    pool=pool,
                    wanted=line.wanted,
                    guaranteed=line.guaranteed,
                    priority=line.priority,
                    used=max(line.granted, line.used),
                )
        if len(found) > MAX_POOLS:
            kept = sorted(found, key=lambda key: (key not in before, key.namespace, key.name))[:MAX_POOLS]
            _log.error("too_many_pools", budget=budget.name, pools=len(found), most=MAX_POOLS)
            found = {key: found[key] for key in kept}
        return found

    def _names(self, key: PoolKey, budget: str) -> bool:
        """Whether the pool is there and names the budget; also one that is not understood otherwise."""
        stored = self.store.get(kinds.WORKER_POOL, key.namespace, key.name)
        spec = stored.unpack().get("spec", {}) if stored else {}
        return bool(spec.get("scaling", {}).get("budget", {}).get("name") == budget)

    async def _write(self, budget: WorkerPoolBudget, after: BudgetStatus) -> Outcome | None:
        """Write the status; None when it is written."""
        ref = ObjectRef(kinds.WORKER_POOL_BUDGET, "", budget.name)
        grants = {(line.namespace, line.name): line.granted for line in after.pools}
        version = budget.metadata.resource_version
        self.ledger.offer(budget.name, grants, version=int(version))
        try:
            answer = await self.kube.merge_patch(
                ref,
                {"status": after.to_json()},
                subresource="status",
                uid=budget.metadata.uid,
                resource_version=version,
            )
        except errors.NotFound:
            return Outcome()
        except errors.Conflict:
            return Outcome(look_again=OVERTAKEN_SECONDS)
        except errors.NotLeader:
            raise
        except errors.KubeError as error:
            _log.warning("write_refused", what=str(ref), error=str(error))
            return Outcome(failed=True)
        self.store.put(kinds.WORKER_POOL_BUDGET, answer)
        return None

    def _tell(self, budget: str) -> None:
        for key in self.ledger.misinformed(self.store, budget):
            self.due(key)


def _changed(before: BudgetStatus, after: BudgetStatus) -> tuple[bool, bool]:
    """(whether it matters who has what, whether anything has changed)."""

    def weight(status: BudgetStatus) -> object:
        lines = [(one.namespace, one.name, one.priority, one.guaranteed, one.granted, one.used) for one in status.pools]
        return status.observed_generation, lines

    return weight(before) != weight(after), before != after
