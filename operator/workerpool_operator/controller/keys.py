"""What the work queue hands out: a key for each pool, each budget, and each namespace for its collector."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolKey:
    """A WorkerPool."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class NamespaceKey:
    """A namespace with pools: its collector and what belongs to it."""

    namespace: str

    def __str__(self) -> str:
        return self.namespace


@dataclass(frozen=True, slots=True)
class BudgetKey:
    """A WorkerPoolBudget."""

    name: str

    def __str__(self) -> str:
        return self.name
