"""A job's trace context in one column: traceparent and tracestate, neither of which has a blank at its ends."""

from workerpool.broker._types import TraceContext


def to_text(trace: TraceContext | None) -> str:
    """Empty for None."""
    return " ".join(trace).strip() if trace else ""


def from_text(text: str) -> TraceContext | None:
    """The reverse."""
    return TraceContext(*text.split(" ", 1)) if text else None
