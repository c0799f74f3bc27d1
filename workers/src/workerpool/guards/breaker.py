"""Circuit breakers: jobs are not begun while what they call is down, and lose no attempts to it.

After "Release It!" (M. Nygard, 2007), counting as resilience4j does:

```
         too many of the calls in the window failed            its time is up: one job at a time
closed ────────────────────────────────────────────────► open ──────────────────────────────────► half-open
   ▲                                                       ▲                                        │    │
   │                                                       └──────────────── it failed ─────────────┘    │
   └──────────────────────────────────────── so many succeeded, one after the other ─────────────────────┘
```

While a circuit is not closed its jobs go back to the queue, or to the handler's fallback; and a job that fails then
goes back, too, and its attempt does not count. So an outage costs each worker the attempts that it takes to notice it.
Workers notice on their own: what they share is what they call, and its answers. The time until a probe is drawn at
random, so that they do not all come at once.

pybreaker, aiobreaker, purgatory and circuitbreaker open after so many failures in a row, which under concurrency and a
partial outage never come; they wrap a call, where a worker must know before it takes a job.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from workerpool.errors import ConfigurationError
from workerpool.runtime.verdict import Verdict

BUCKETS: Final = 10
"""Parts of the window, which goes on by one at a time."""
PROBES: Final = 3
"""Jobs that must succeed, one after the other, until a circuit is closed."""
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Breaker:
    """When a handler is not run because what it calls is down. Handlers that call the same thing may share one.

    Args:
        name: In logs, in `circuit_open` and in `paused`; that of the first handler by default.
        failures: Share of the calls that must have failed. A timeout is a failure, `RejectJob` is no call.
        calls: In the window, without which nothing is concluded.
        window: Seconds.
        pause: Seconds until the first probe, give or take a half; twice as long after each one that fails.
        longest_pause: Seconds.
    """

    name: str = ""
    failures: float = 0.5
    calls: int = 10
    window: float = 30.0
    pause: float = 5.0
    longest_pause: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would never open, or never close."""
        if not 0 < self.failures <= 1 or self.calls < 1 or not 0 < self.pause <= self.longest_pause or self.window <= 0:
            raise ConfigurationError(
                "a breaker needs 0 < failures <= 1, calls >= 1, window > 0 and 0 < pause <= longest_pause"
            )


class Call(Protocol):
    """A job that is run, as a circuit sees it."""

    @property
    def verdict(self) -> Verdict:
        """What it said in the end."""
        ...

    @property
    def settling(self) -> bool:
        """Whether it has ended."""
        ...


class State(StrEnum):
    """Of a circuit."""

    CLOSED = "closed"
    """Jobs run."""
    OPEN = "open"
    """None do."""
    HALF_OPEN = "half-open"
    """One at a time does."""


class Circuit:
    """One breaker at work in one worker."""

    def __init__(self, breaker: Breaker, *, name: str, told: Callable[["Circuit"], None], log: Any) -> None:
        """`told`: its state is another one."""
        self.name = name
        self.state = State.CLOSED
        self._breaker = breaker
        self._told = told
        self._log = log
        self._buckets: dict[int, list[int]] = {}
        """Number of a part of time -> calls and failures in it."""
        self._opened = self._succeeded = 0
        self._probe_at = 0.0
        self._probe: Call | None = None

    def admit(self, call: Call, *, now: float) -> bool:
        """Whether this job may run now. If so it may be a probe: `ended` must hear of its end."""
        if self.state is State.CLOSED:
            return True
        if self.shut_for(now) > 0:
            return False
        self._probe = call
        self._become(State.HALF_OPEN)
        return True

    @property
    def opened(self) -> bool:
        """Whether it is not closed."""
        return self.state is not State.CLOSED

    def shut_for(self, now: float) -> float:
        """Seconds until a job may be admitted, 0 when one is; at most a second while a probe is on its way."""
        if self.state is State.CLOSED:
            return 0.0
        if self._probe is not None and not self._probe.settling:
            return _LOOK_SECONDS
        return max(0.0, self._probe_at - now)

    def ended(self, call: Call, *, now: float) -> None:
        """A job has ended that was admitted."""
        probe = call is self._probe
        if probe:
            self._probe = None
        if call.verdict is Verdict.NONE:
            return
        failed = call.verdict is not Verdict.DONE
        if self.state is State.CLOSED:
            self._count(failed=failed, now=now)
        elif probe and failed:
            self._open(now, calls=1, failures=1)
        elif probe:
            self._succeeded += 1
            if self._succeeded >= PROBES:
                self._close()

    def _count(self, *, failed: bool, now: float) -> None:
        part = int(now / self._breaker.window * BUCKETS)
        self._buckets = {number: counts for number, counts in self._buckets.items() if number > part - BUCKETS}
        counts = self._buckets.setdefault(part, [0, 0])
        counts[0] += 1
        counts[1] += failed
        calls, failures = (sum(column) for column in zip(*self._buckets.values(), strict=True))
        if failed and calls >= self._breaker.calls and failures >= self._breaker.failures * calls:
            self._open(now, calls=calls, failures=failures)

    def _open(self, now: float, *, calls: int, failures: int) -> None:
        ceiling = min(self._breaker.longest_pause, self._breaker.pause * 2 ** min(self._opened, 20))
        pause = ceiling * random.uniform(0.5, 1.5)  # noqa: S311
        self._opened += 1
        self._succeeded = 0
        self._probe_at = now + pause
        self._log.warning("circuit open", circuit=self.name, failures=failures, calls=calls, probe_in=round(pause, 3))
        self._become(State.OPEN)

    def _close(self) -> None:
        self._opened = 0
        self._buckets.clear()
        self._log.info("circuit closed", circuit=self.name)
        self._become(State.CLOSED)

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            if state is State.HALF_OPEN:
                self._log.info("circuit half-open", circuit=self.name)
            self._told(self)


class Guarded(Protocol):
    """What is looked at of a handler."""

    @property
    def breaker(self) -> Breaker | None:
        """Its breaker."""
        ...

    @property
    def fallback(self) -> Callable[..., Any] | None:
        """What runs while that is open."""
        ...


class Circuits:
    """Those of a worker."""

    def __init__(
        self,
        handlers: Mapping[str, Guarded],
        *,
        figures: dict[str, bool],
        changed: Callable[[], None],
        log: Any,
    ) -> None:
        """`figures`: circuit -> whether it is open. `changed`: what `paused` says may be something else."""
        self._figures = figures
        self._changed = changed
        self._moved = asyncio.Event()
        self._log = log
        made: dict[Breaker, Circuit] = {}
        self._by_type: dict[str, Circuit] = {}
        for type_, handler in handlers.items():
            if handler.breaker is not None:
                if handler.breaker not in made:
                    made[handler.breaker] = self._make(handler.breaker, handler.breaker.name or type_)
                self._by_type[type_] = made[handler.breaker]
        free = any(handler.breaker is None or handler.fallback is not None for handler in handlers.values())
        self._all: Iterable[Circuit] = () if free else made.values()
        """Those of which one must admit jobs for any to be taken; none where a handler runs in any case."""

    def of(self, type_: str) -> Circuit | None:
        """The circuit of this type's handler."""
        return self._by_type.get(type_)

    @property
    def shut(self) -> str:
        """The circuits because of which nothing is taken; empty while something is."""
        closed = any(circuit.state is State.CLOSED for circuit in self._all)
        return "" if closed else ", ".join(sorted(circuit.name for circuit in self._all))

    @property
    def most(self) -> int | None:
        """Jobs to be taken at a time; None: as many as there is room for."""
        return 1 if self.shut else None

    async def wait(self) -> None:
        """Return when a job may be taken."""
        while self.shut:
            now = asyncio.get_running_loop().time()
            seconds = min(circuit.shut_for(now) for circuit in self._all)
            if seconds <= 0:
                return
            self._moved.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._moved.wait()
            except TimeoutError:
                pass

    def _make(self, breaker: Breaker, name: str) -> Circuit:
        if name in self._figures:
            raise ConfigurationError(f"two breakers are named {name!r}: share one, or name them differently")
        self._figures[name] = False
        return Circuit(breaker, name=name, told=self._told, log=self._log)

    def _told(self, circuit: Circuit) -> None:
        self._figures[circuit.name] = circuit.state is not State.CLOSED
        self._moved.set()
        self._changed()
