"""Which faults are in force. Changed by tests from any thread, read by the proxy for each request."""

import threading
from types import TracebackType
from typing import Self

from e2e.faults.inject.faults import Fault, Match, Request


class Injection:
    """One fault in force, for the requests that match, `times` of them or until removed."""

    def __init__(self, rules: "Rules", match: Match, fault: Fault, times: int | None) -> None:
        self.match = match
        self.fault = fault
        self.hits = 0
        """How many requests it has met."""
        self._rules = rules
        self._times = times

    @property
    def spent(self) -> bool:
        """Whether it has met all the requests that it was meant for."""
        return self._times is not None and self.hits >= self._times

    def remove(self) -> None:
        """Let requests pass again."""
        self._rules.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class Rules:
    """The injections, the newest first: a test can put an exception on top of a rule."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._injections: tuple[Injection, ...] = ()

    def add(self, match: Match, fault: Fault, *, times: int | None = None) -> Injection:
        """Put a fault in force."""
        injection = Injection(self, match, fault, times)
        with self._lock:
            self._injections = (injection, *self._injections)
        return injection

    def remove(self, injection: Injection) -> None:
        """Take it out of force; one that is out already is fine."""
        with self._lock:
            self._injections = tuple(one for one in self._injections if one is not injection)

    def clear(self) -> None:
        """Let everything pass."""
        with self._lock:
            self._injections = ()

    def in_force(self, fault: Fault) -> bool:
        """Whether this very fault has not been removed."""
        with self._lock:
            return any(injection.fault is fault for injection in self._injections)

    def take(self, request: Request) -> Fault | None:
        """The fault for this request, counted as met."""
        with self._lock:
            for injection in self._injections:
                if not injection.spent and injection.match.fits(request):
                    injection.hits += 1
                    return injection.fault
        return None
