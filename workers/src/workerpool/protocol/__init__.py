"""Messages between a worker and its namespace's collector.

The worker dials `ws://$WORKERPOOL_COLLECTOR/v1/workers` and authenticates with its projected token (audience
`workerpool-collector`) as `Authorization: Bearer`. Up go `Hello` (first), `Report` (on every change, at most
each `REPORT_MIN_SECONDS`, and each heartbeat period, at least each `REPORT_MAX_SECONDS`) and `LastWords` (once, when
drained). Down goes `Settings`, always whole: it replaces the one before, and lapses after `ttl_seconds` without a newer
one, after which the worker falls back to what its environment says. Text frames hold one JSON object each, told apart
by `type`.

Both ends may differ by one version: an unknown field is ignored, an unknown `type` decodes to None.
Durations are seconds and never wall-clock times, so clock skew between pods does nothing.
"""

from workerpool.protocol._messages import (
    PROTOCOL_VERSION,
    REPORT_MAX_SECONDS,
    REPORT_MIN_SECONDS,
    STREAM_PATH,
    TOKEN_AUDIENCE,
    TOKEN_FILE,
    Counters,
    Delivery,
    Hello,
    LastWords,
    Report,
    Settings,
    Share,
    TenantLimit,
    decode_down,
    decode_fence,
    decode_up,
)

__all__ = [
    "PROTOCOL_VERSION",
    "REPORT_MAX_SECONDS",
    "REPORT_MIN_SECONDS",
    "STREAM_PATH",
    "TOKEN_AUDIENCE",
    "TOKEN_FILE",
    "Counters",
    "Delivery",
    "Hello",
    "LastWords",
    "Report",
    "Settings",
    "Share",
    "TenantLimit",
    "decode_down",
    "decode_fence",
    "decode_up",
]
