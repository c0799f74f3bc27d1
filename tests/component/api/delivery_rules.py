"""What `spec.delivery` may hold, and what is refused of it: field and words."""

from typing import Any, Final

RATE_WORDS: Final = "write a number per second above 0, at most 1000000"

ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "backoff = cap": {"delivery": {"backoffSeconds": 60, "backoffMaxSeconds": 60}},
    "no backoff": {"delivery": {"backoffSeconds": 0, "backoffMaxSeconds": 0, "maxAttempts": 1}},
    "limit": {"delivery": {"rateLimitPerSecond": 1_000_000}},
    "limit of a fraction": {"delivery": {"rateLimitPerSecond": "0.05"}},
    "limits of tenants": {
        "delivery": {"tenantLimits": {"acme": {"ratePerSecond": "0.5"}, "*": {"maxInFlight": 1, "ratePerSecond": 9}}}
    },
    "as many limits as there may be": {
        "delivery": {"tenantLimits": {f"{n:0>253}": {"ratePerSecond": "999999.999"} for n in range(32)}}
    },
    "shedding": {"delivery": {"shedAfterSeconds": {"low": 1, "normal": 31_536_000}}},
    "lease of three heartbeats": {"delivery": {"leaseSeconds": 30}},
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "backoff above its cap": (
        {"delivery": {"backoffSeconds": 61}},
        "spec.delivery.backoffSeconds",
        "backoffSeconds must not be above backoffMaxSeconds: lower the one or raise the other",
    ),
    "no attempt": ({"delivery": {"maxAttempts": 0}}, "spec.delivery.maxAttempts", "greater than or equal to 1"),
    "lease shorter than three heartbeats": (
        {"delivery": {"leaseSeconds": 29}},
        "spec.delivery.leaseSeconds",
        "delivery.leaseSeconds must be at least 3 times worker.heartbeatPeriodSeconds",
    ),
    "limit of nothing": ({"delivery": {"rateLimitPerSecond": 0}}, "spec.delivery.rateLimitPerSecond", RATE_WORDS),
    "limit of 0.000": ({"delivery": {"rateLimitPerSecond": "0.000"}}, "spec.delivery.rateLimitPerSecond", RATE_WORDS),
    "limit as an amount": ({"delivery": {"rateLimitPerSecond": "1k"}}, "spec.delivery.rateLimitPerSecond", RATE_WORDS),
    "limit of a tenant without a limit": (
        {"delivery": {"tenantLimits": {"acme": {}}}},
        "spec.delivery.tenantLimits[acme]",
        "write ratePerSecond, maxInFlight or both",
    ),
    "limit of a tenant without a name": (
        {"delivery": {"tenantLimits": {"": {"maxInFlight": 1}}}},
        "spec.delivery.tenantLimits",
        "a tenant's name has 1 to 253 characters",
    ),
    "limit of a tenant to nothing": (
        {"delivery": {"tenantLimits": {"acme": {"maxInFlight": 0}}}},
        "spec.delivery.tenantLimits.acme.maxInFlight",
        "greater than or equal to 1",
    ),
    "too many limits": (
        {"delivery": {"tenantLimits": {f"t{n}": {"maxInFlight": 1} for n in range(33)}}},
        "spec.delivery.tenantLimits",
        "must have at most 32 items",
    ),
    "shedding at once": (
        {"delivery": {"shedAfterSeconds": {"low": 0}}},
        "spec.delivery.shedAfterSeconds.low",
        "greater than or equal to 1",
    ),
    "lease of nothing": ({"delivery": {"leaseSeconds": 4}}, "spec.delivery.leaseSeconds", "greater than or equal to 5"),
}
