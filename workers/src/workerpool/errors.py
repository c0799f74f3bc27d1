"""Every error that this package raises on purpose.

```
WorkerpoolError
├── ConfigurationError         the environment or an argument is wrong: fix it, retrying is useless
├── QueueFull                  the queue holds `max_depth` waiting jobs
├── RateLimited                this producer may not enqueue so fast, and the wait for its turn is too long
├── EndpointBusy               too many jobs of this worker call an endpoint already
├── PayloadInvalid             a payload or checkpoint is not JSON, or larger than the queue takes
├── LeaseLost                  the job that a handler works on is not its worker's any more
├── FillFailed                 somebody else has just failed to get a value for the cache
├── RejectJob                  raised by a handler: dead-letter this job now, retrying is useless
└── BrokerError                the broker did not do what was asked
    ├── BrokerUnavailable      name does not resolve, refused, timed out, or it is loading, read-only or out of memory
    │   └── NothingAssigned    it answers, and has nothing to give to this consumer now: others have all of the queue
    ├── AuthenticationFailed   it refused the credentials, or wants some and none are given
    ├── CredentialsMissing     a credentials file that was named is not there
    ├── TLSFailed              its certificate could not be verified, or TLS could not be set up
    ├── QueueNotFound          it answers, but has no such queue and none can be made
    ├── SchemaMismatch         its tables are of another version than this program can use (PostgreSQL)
    └── BadAnswer              it answered something that makes no sense
```

Texts hold no credentials: they may be shown in a resource's status.
"""

# ruff: noqa: N818  the names say what happened; every one of them is caught as an error anyway


class WorkerpoolError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(WorkerpoolError):
    """The environment or an argument is wrong; the text names the variable or argument and says what to write."""


class QueueFull(WorkerpoolError):
    """The queue holds `max_depth` waiting jobs, and did not shrink in time.

    Attributes:
        enqueued: How many of the jobs, from the first, are in the queue nevertheless.
    """

    def __init__(self, max_depth: int, *, enqueued: int) -> None:
        super().__init__(f"{max_depth} jobs wait, no room for more")
        self.enqueued = enqueued


class RateLimited(WorkerpoolError):
    """The producer's own `rate_limit` leaves no turn in time.

    Attributes:
        enqueued: How many of the jobs, from the first, are in the queue nevertheless.
    """

    def __init__(self, rate: float, *, after: float, enqueued: int) -> None:
        super().__init__(
            f"rate_limit={rate:g} jobs per second: the next turn is in {after:.2f} s; wait longer (timeout=), "
            "enqueue less, or raise the limit"
        )
        self.enqueued = enqueued


class EndpointBusy(WorkerpoolError):
    """As many jobs of this worker call the endpoint as may, and none ended in time."""


class PayloadInvalid(WorkerpoolError):
    """A payload, a checkpoint or a cached value cannot be written as JSON, or is larger than the queue takes."""


class LeaseLost(WorkerpoolError):
    """The job is not this worker's any more, somebody else may run it: leave it, without further effects."""


class FillFailed(WorkerpoolError):
    """A value is not in the cache, and somebody else has just failed to get it; the text is their error."""


class RejectJob(WorkerpoolError):
    """A handler raises this when no attempt can ever succeed: the job is dead-lettered at once."""


class BrokerError(WorkerpoolError):
    """The broker did not do what was asked. Subclasses say why."""


class BrokerUnavailable(BrokerError):
    """Cannot be reached or cannot serve now. What was asked may or may not have happened."""


class AuthenticationFailed(BrokerError):
    """The broker refused the credentials or what they are allowed to do, or wants some and none are given."""


class CredentialsMissing(BrokerError):
    """A credentials file that was named is not there, or empty."""


class TLSFailed(BrokerError):
    """The broker's certificate could not be verified, or TLS could not be set up."""


class QueueNotFound(BrokerError):
    """The broker answers, but has no such queue and none can be made (for Redis: the key holds another type)."""


class SchemaMismatch(BrokerError):
    """The queue's tables are older than this program needs, or too new for it; the text says what to do."""


class NothingAssigned(BrokerUnavailable):
    """The broker gives this consumer nothing now: each part of the queue is another's, or held up by a job of ours."""


class BadAnswer(BrokerError):
    """The broker answered something that makes no sense: most often it is too old, or something else."""
