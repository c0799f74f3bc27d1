"""Kafka: `KafkaBroker`. What a record looks like is told in docs/reference/brokers.md.

What the queue of topic `T` and group `G` is made of:

| Name | Kind | Holds |
|---|---|---|
| `T` | topic, there before | jobs, as they are put |
| `T.G.retry` | topic | jobs that wait for another attempt, or were handed back: with the time at which each is due |
| `T.G.dead` | topic, one partition | dead letters |
| `G` | consumer group | of `T` and `T.G.retry`: each partition is one consumer's, and has one committed offset |
| `G.dead` | committed offsets | which dead letters are gone again |

Kafka knows of no outcome of a single record: it keeps one offset per partition, before which all is done. Jobs of a
partition run beside each other here, so what is done above that offset, and what somebody has begun, is written into
the text that Kafka keeps with each offset: see `ledger`. Every take and every outcome is one commit of offsets, which
Kafka refuses who has lost the partition: see `group`.
"""

from workerpool.broker._kafka.address import KafkaAddress
from workerpool.broker._kafka.broker import KafkaBroker

__all__ = ["KafkaAddress", "KafkaBroker"]
