"""What the operator and the process that answers tell each other: lines of JSON.

Times are by the monotonic clock, which all processes of a machine share. The first line down is a `Settings`, each
other one an `Update`; what goes up is in `tally`.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from workerpool_operator.serve.values import PoolId, Value

BEAT_SECONDS: Final = 0.5
"""Each side says something at least this often."""
LINE_BYTES: Final = 1024 * 1024
"""No line is longer."""
_POOLS_A_LINE: Final = 500
"""Names of Kubernetes have 253 characters at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to serve."""

    tls: Path
    host: str | None
    port: int
    server_name: str
    """The name in the certificate of each replica."""
    log_level: str

    def line(self) -> bytes:
        """As it is sent."""
        return _line({**asdict(self), "tls": str(self.tls)})

    @classmethod
    def of(cls, line: bytes) -> Self:
        """As it was sent."""
        said: dict[str, Any] = json.loads(line)
        return cls(**{**said, "tls": Path(said["tls"])})


@dataclass(frozen=True, slots=True)
class Role:
    """This replica's part among all."""

    leads_until: float = 0.0
    """Unless it is told again that it leads: monotonic seconds, in the past while it does not lead."""
    open: bool = False
    """Whether it knows which pools there are, and has begun to decide."""
    leader: str = ""
    """host:port of the replica that leads; empty while none is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What is different now."""

    there: Mapping[PoolId, Value | None] = field(default_factory=dict)
    """Pools, and their values where there are any."""
    gone: Collection[PoolId] = ()
    role: Role | None = None
    """None: as it was, or to follow once all pools have been told."""

    def lines(self) -> Iterator[bytes]:
        """As it is sent: several lines if there are many pools, each of them an update in itself."""
        there = [[*pool, *_numbers(value)] for pool, value in self.there.items()]
        for start in range(0, max(1, len(there)), _POOLS_A_LINE):
            last = start + _POOLS_A_LINE >= len(there)
            role = asdict(self.role) if self.role is not None and last else None
            yield _line([there[start : start + _POOLS_A_LINE], list(self.gone) if last else [], role])

    @classmethod
    def of(cls, line: bytes) -> Self:
        """As it was sent."""
        there, gone, role = json.loads(line)
        return cls(
            there={(namespace, pool): _value(numbers) for namespace, pool, *numbers in there},
            gone=[(namespace, pool) for namespace, pool in gone],
            role=None if role is None else Role(**role),
        )


def _numbers(value: Value | None) -> Iterable[float]:
    return () if value is None else (value.value, value.read_at, value.fresh_until)


def _value(numbers: list[Any]) -> Value | None:
    return Value(*numbers) if numbers else None


def _line(said: object) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"
