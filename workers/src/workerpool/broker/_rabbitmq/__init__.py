"""RabbitMQ's quorum queues: `RabbitBroker`.

What lies in which queue is told in `queues`, what a message looks like in docs/reference/brokers.md.

A job is at any moment ready in a queue, or given to one consumer. RabbitMQ keeps the second for as long as the
consumer's channel is open, so the lease of a job is its connection: there is nothing to extend, and when a connection
ends, all jobs that came on it are others' at once.
"""

from workerpool.broker._rabbitmq.address import RabbitAddress
from workerpool.broker._rabbitmq.broker import RabbitBroker

__all__ = ["RabbitAddress", "RabbitBroker"]
