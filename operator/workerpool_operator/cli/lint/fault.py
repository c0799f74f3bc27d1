"""What is wrong with a resource."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why the resource would be refused, or what of it would not be as it was meant."""

    field: str
    """As the API server names it: `spec.worker.env[0].name`; empty: the whole of it."""
    message: str
    warning: bool = False
    """It would be accepted all the same."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message
