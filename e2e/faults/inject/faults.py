"""What can be done to a request, and to which."""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_REASONS: Final = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the client, as far as it decides what happens to it."""

    method: str
    target: str
    """Path and query, as they were sent."""
    watch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests: all that fit everything that is given."""

    methods: Collection[str] = ()
    """HTTP methods; none given: any."""
    path: str = ""
    """Regular expression, searched in path and query."""
    watch: bool | None = None
    """Only watches, or anything but watches."""

    def fits(self, request: Request) -> bool:
        """Whether this is one of them."""
        return (
            (not self.methods or request.method in self.methods)
            and (self.watch is None or self.watch == request.watch)
            and re.search(self.path, request.target) is not None
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer with this status instead of asking the server."""

    status: int
    message: str = "injected"
    retry_after: int | None = None
    """Seconds, for the `Retry-After` header."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Of the `Status` object: `{"continue": token}` for an expired listing."""

    def body(self) -> bytes:
        """A `Status` object as the API server would write it."""
        details = {"name": "injected"} | ({"retryAfterSeconds": self.retry_after} if self.retry_after else {})
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Status",
                "metadata": self.metadata,
                "status": "Failure",
                "message": self.message,
                "reason": _REASONS.get(self.status, ""),
                "details": details,
                "code": self.status,
            }
        ).encode()


@dataclass(frozen=True, slots=True)
class Delay:
    """Pass the request on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without asking the server."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let the server act, then close the connection without telling the client."""


@dataclass(frozen=True, slots=True)
class CutStream:
    """Close the connection in the middle of the answer, after so many bytes of it."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DropEvents:
    """Leave out of a watch the events (JSON as sent) that the regular expression `pattern` is found in.

    Of watches that began under it, and for as long as it is in force: what comes later is delivered again.
    """

    pattern: str

    def filter(self) -> "EventFilter":
        """State for one stream."""
        return _Dropping(re.compile(self.pattern.encode()))


@dataclass(frozen=True, slots=True)
class ReorderEvents:
    """Deliver each event of a watch that `pattern` is found in after the next event, whatever that is about."""

    pattern: str

    def filter(self) -> "EventFilter":
        """State for one stream."""
        return _Reordering(re.compile(self.pattern.encode()))


@dataclass(frozen=True, slots=True)
class LateEvents:
    """Deliver each event of a watch so many seconds after it came: what the client knows is that old."""

    seconds: float


@dataclass(frozen=True, slots=True)
class EndWatch:
    """Answer a watch with an event of type ERROR, as a server does that cannot go on; 410: the version is gone."""

    code: int = 410

    def line(self) -> bytes:
        """The one event of the stream."""
        return b'{"type":"ERROR","object":' + Answer(self.code).body() + b"}\n"


@dataclass(frozen=True, slots=True)
class OldListings:
    """Answer each listing as it was when `FaultProxy.remembered` looked: by a server whose cache has stopped.

    A listing that was not looked at then is kept as the server answers it for the first time.
    """

    answers: dict[str, "Remembered"] = field(default_factory=dict)
    """Path and query -> what was answered."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One whole answer of the server."""

    status: int
    content_type: str
    body: bytes


class EventFilter:
    """Turns the lines of one watch into those that are delivered."""

    def feed(self, line: bytes) -> Iterator[bytes]:
        """The lines to deliver now that `line` arrived."""
        yield line

    def rest(self, line: bytes) -> Iterator[bytes]:
        """The same when the fault is over."""
        yield line


class _Dropping(EventFilter):
    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def feed(self, line: bytes) -> Iterator[bytes]:
        if not self._pattern.search(line):
            yield line


class _Reordering(EventFilter):
    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._held: bytes | None = None

    def feed(self, line: bytes) -> Iterator[bytes]:
        held, self._held = self._held, None
        if held is None and self._pattern.search(line):
            self._held = line
            return
        yield line
        if held is not None:
            yield held

    def rest(self, line: bytes) -> Iterator[bytes]:
        """What was held back goes first: that is the order in which they came."""
        held, self._held = self._held, None
        if held is not None:
            yield held
        yield line


Fault = (
    Answer | Delay | Drop | LoseAnswer | CutStream | DropEvents | ReorderEvents | LateEvents | EndWatch | OldListings
)
EVENT_FAULTS: Final = (DropEvents, ReorderEvents)
