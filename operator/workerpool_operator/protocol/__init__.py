"""Messages between a namespace's collector and the operator.

The collector dials every operator replica (`wss://<ip>:8443/v1/collectors`, TLS name = the stream Service's) with
its projected token (audience `workerpool-operator`) as `Authorization: Bearer`. TokenReview yields the one
namespace it may speak for: no message carries a namespace.

Up, to all replicas: `Samples`, `Workers`, `Arrivals`. Down: `Role` from everyone; the orders `Config`, `ReadNow`,
`Fence`, `PoolSettings`, and `PastArrivals`, from the leader only, each with the Lease's `leaseTransitions` as `epoch`:
a collector refuses an order whose epoch is below the highest it has seen.

Orders are level-triggered: each replaces the one before for its subject, and a leader repeats them all to a collector
that (re)connects. Ages are seconds since the reading was taken, stamped on arrival by the receiver's monotonic clock.
"""

from workerpool_operator.protocol._arrivals import Arrivals, CourseReport, PastArrivals, Predictive
from workerpool_operator.protocol._messages import (
    CIRCUIT_OPEN,
    LEAVING_FENCE,
    ORDER_TTL_SECONDS,
    PROTOCOL_VERSION,
    STREAM_PATH,
    TOKEN_AUDIENCE,
    Config,
    Down,
    Fence,
    PodReport,
    PoolConfig,
    PoolSettings,
    QueueSample,
    ReadNow,
    Role,
    SampleError,
    Samples,
    Up,
    WorkerReport,
    Workers,
    decode_down,
    decode_up,
)

__all__ = [
    "CIRCUIT_OPEN",
    "LEAVING_FENCE",
    "ORDER_TTL_SECONDS",
    "PROTOCOL_VERSION",
    "STREAM_PATH",
    "TOKEN_AUDIENCE",
    "Arrivals",
    "Config",
    "CourseReport",
    "Down",
    "Fence",
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
    "Up",
    "WorkerReport",
    "Workers",
    "decode_down",
    "decode_up",
]
