"""Messages between a namespace's collector and the operator.

The collector dials every operator replica (`wss://<ip>:8443/v1/collectors`, TLS name = the stream Service's) with
its projected token (audience `workerpool-operator`) as `Authorization: Bearer`. TokenReview yields the one
namespace it may speak for: no message carries a namespace.

Up, to all replicas: `Samples`, `Workers`, `Arrivals`, and of what is not news `Holds`, `Unheld`. Down: `Role` from
everyone; the orders `Config`, `ReadNow`, `Fence`, `PoolSettings`, and `PastArrivals`, from the leader only, each with
the Lease's `leaseTransitions` as `epoch`: a collector refuses an order whose epoch is below the highest it has seen.

Orders are level-triggered: each replaces the one before for its subject, and a leader repeats them all to a collector
that (re)connects. Ages are seconds since the reading was taken, stamped on arrival by the receiver's monotonic clock.

What changes is told at once. What does not is told once on each connection, as `held`, and one `Holds` every few
seconds says of all of it that it is still so. A worker that is not heard in time, or a queue that is not read, is told
anew, by itself and not held: from there its age grows. An operator of protocol 1 knows no `Holds` (its `Role` says so),
and has everything repeated to it.
"""

from workerpool_operator.protocol._arrivals import Arrivals, CourseReport, PastArrivals, Predictive
from workerpool_operator.protocol._messages import (
    CIRCUIT_OPEN,
    HOLDS_PROTOCOL,
    LEAVING_FENCE,
    MOST_JOBS,
    ORDER_TTL_SECONDS,
    PROTOCOL_VERSION,
    STREAM_PATH,
    TOKEN_AUDIENCE,
    Config,
    Down,
    Fence,
    Holds,
    PodReport,
    PoolConfig,
    PoolSettings,
    QueueSample,
    ReadNow,
    Role,
    SampleError,
    Samples,
    Unheld,
    Up,
    WorkerReport,
    Workers,
    decode_down,
    decode_up,
)

__all__ = [
    "CIRCUIT_OPEN",
    "HOLDS_PROTOCOL",
    "LEAVING_FENCE",
    "MOST_JOBS",
    "ORDER_TTL_SECONDS",
    "PROTOCOL_VERSION",
    "STREAM_PATH",
    "TOKEN_AUDIENCE",
    "Arrivals",
    "Config",
    "CourseReport",
    "Down",
    "Fence",
    "Holds",
    "PastArrivals",
    "PodReport",
    "PoolConfig",
    "PoolSettings",
    "Predictive",
    "QueueSample",
    "ReadNow",
    "Role",
    "SampleError",
    "Samples",
    "Unheld",
    "Up",
    "WorkerReport",
    "Workers",
    "decode_down",
    "decode_up",
]
