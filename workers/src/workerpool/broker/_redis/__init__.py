"""Redis Streams: `RedisBroker`. The wire format is described in docs/reference/worker-contract.md.

Keys of stream `S`, all in its hash slot (a name with a hash tag of its own, such as `{app}:jobs`, is used as it is):

| Key | Type | Holds |
|---|---|---|
| `S` | stream | due jobs: fields `type`, `payload`, maybe `id`, `attempt` (attempts before), `due` (unix ms) |
| `{S}:delayed` | sorted set | jobs that are not due, as JSON objects of the same fields, by due time in unix ms |
| `{S}:dead` | stream | dead letters: the fields as they were, and `dead.reason`, `dead.error`... |
| `{S}:stats` | hash | `requeued` (entries that are no arrivals), cursors and times of the shared upkeep |
| `{S}:leases:G` | hash | lease in ms -> when a worker of group G last announced it (unix ms) |
| `{S}:checkpoints` | hash | entry id -> checkpoint of the job in flight; one that waits has it as field `checkpoint` |
| `{S}:job:ID` | string | marks a job id as seen, for the deduplication window |

Jobs with a tenant, a priority or an ordering key wait in further keys: see lua/order.lua.

One group per stream: a retry appends the job anew, and every group would see it.

Why a stream and a group of our own making, and not one of the libraries: none of those looked at both reclaims
orphans on an idle stream and retries, dead-letters and tells its depth, and the fence needs a
blocking read that can be ended without losing what it may just have taken.
"""

from workerpool.broker._redis.broker import RedisBroker
from workerpool.broker._redis.link import RedisAddress

__all__ = ["RedisAddress", "RedisBroker"]
