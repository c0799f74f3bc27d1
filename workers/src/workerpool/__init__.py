"""Queue workers that drain, retry, dead-letter and lose nothing.

```python
from workerpool import Job, Worker

worker = Worker()                   # contract from the environment


@worker.job("resize", timeout=30)
async def resize(job: Job) -> None: ...


worker.run()
```

Everything that a user needs is here; `workerpool.broker` and `workerpool.protocol` are for the collector and for those
who write a worker without this package. Names are imported when first used: a program that only reads a queue's depth
does not pay for the runtime.
"""

# As `typing` has it, which takes longer to load than all that a worker needs to open its port.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from workerpool._batch import Batch
    from workerpool._job import Job, JobSpec
    from workerpool._queue import Queue
    from workerpool._run import run
    from workerpool._worker import Worker
    from workerpool.broker import Credentials, DeadJob, DeathReason, Depth, Priority
    from workerpool.errors import (
        AuthenticationFailed,
        BadAnswer,
        BrokerError,
        BrokerUnavailable,
        ConfigurationError,
        CredentialsMissing,
        EndpointBusy,
        FillFailed,
        LeaseLost,
        NothingAssigned,
        PayloadInvalid,
        QueueFull,
        QueueNotFound,
        RateLimited,
        RejectJob,
        SchemaMismatch,
        TLSFailed,
        WorkerpoolError,
    )
    from workerpool.guards.breaker import Breaker
    from workerpool.guards.timeouts import CallTimeout

__all__ = [
    "AuthenticationFailed",
    "BadAnswer",
    "Batch",
    "Breaker",
    "BrokerError",
    "BrokerUnavailable",
    "CallTimeout",
    "ConfigurationError",
    "Credentials",
    "CredentialsMissing",
    "DeadJob",
    "DeathReason",
    "Depth",
    "EndpointBusy",
    "FillFailed",
    "Job",
    "JobSpec",
    "LeaseLost",
    "NothingAssigned",
    "PayloadInvalid",
    "Priority",
    "Queue",
    "QueueFull",
    "QueueNotFound",
    "RateLimited",
    "RejectJob",
    "SchemaMismatch",
    "TLSFailed",
    "Worker",
    "WorkerpoolError",
    "run",
]

_HOME: "Final" = {
    "Batch": "workerpool._batch",
    "Breaker": "workerpool.guards.breaker",
    "CallTimeout": "workerpool.guards.timeouts",
    "Credentials": "workerpool.broker",
    "DeadJob": "workerpool.broker",
    "DeathReason": "workerpool.broker",
    "Depth": "workerpool.broker",
    "Job": "workerpool._job",
    "JobSpec": "workerpool._job",
    "Priority": "workerpool.broker",
    "Queue": "workerpool._queue",
    "Worker": "workerpool._worker",
    "run": "workerpool._run",
}


def __getattr__(name: str) -> "Any":
    if name not in __all__:
        raise AttributeError(f"module 'workerpool' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOME.get(name, "workerpool.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
