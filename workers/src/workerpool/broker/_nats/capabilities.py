"""What NATS JetStream can do."""

from typing import Final

from workerpool.broker._types import Capabilities

CAPABILITIES: Final = Capabilities(
    lease=True,
    extend=True,
    delay=True,
    deduplicate=True,
    oldest_age=True,
    in_flight=True,
    arrivals=False,  # a stream counts its messages, and retries are messages, too
    notifies=True,
    priority=False,  # a stream is read in its order
    fair=False,
    ordering=False,
    tokens=True,
    tenant_limits=False,
    expiry=True,
    competing=True,
    shared=True,
)
