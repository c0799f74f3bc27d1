"""What Kafka can do."""

from typing import Final

from workerpool.broker._types import Capabilities

CAPABILITIES: Final = Capabilities(
    lease=True,
    extend=False,  # a consumer keeps its partitions, and the jobs of them, as long as its heartbeats come
    delay=False,  # a partition is read in its order; only what is tried again waits for its time
    deduplicate=False,
    oldest_age=False,
    in_flight=True,
    arrivals=True,
    notifies=True,
    priority=False,
    fair=False,
    ordering=False,
    tokens=False,
    tenant_limits=False,
    expiry=True,
    competing=False,  # a partition is one consumer's
    shared=True,
)
