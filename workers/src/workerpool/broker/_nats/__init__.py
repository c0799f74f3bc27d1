"""NATS JetStream: `NatsBroker`. The wire format is described in docs/reference/worker-contract.md.

What the queue of stream `S` is made of:

| Name | Kind | Holds |
|---|---|---|
| `S` | stream, work queue | every job that is not finished, and the dead letters |
| `S.jobs` | subject | jobs that wait: the payload, and headers `type`, maybe `id`, `attempt` (attempts before), ... |
| `S.again` | subject | jobs whose lease expired and that somebody has taken over: they come first |
| `S.later.*` | subjects | jobs that are not due: scheduled messages, which the server turns into `S.jobs` |
| `S.dead` | subject | dead letters: the headers as they were, and `dead` |
| `S.settled` | subject | marks of workers that were late to say that a job is done; gone at once |
| `G`, `G-again` | consumers | of `S.jobs` and `S.again`; their AckWait is the lease |
| `S-workerpool` | key-value bucket | `identity`, `lease.<ms>`, `checkpoint.<first sequence>`, `tokens.<hash>` |

How jobs move, and why a message acknowledged late does no harm: see `settling`.
"""

from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.broker import NatsBroker

__all__ = ["NatsAddress", "NatsBroker"]
