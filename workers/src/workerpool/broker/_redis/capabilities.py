"""What Redis Streams can do."""

from typing import Final

from workerpool.broker._types import Capabilities

CAPABILITIES: Final = Capabilities(
    lease=True,
    extend=True,
    delay=True,
    deduplicate=True,
    oldest_age=True,
    in_flight=True,
    arrivals=True,
    notifies=True,
    priority=True,
    fair=True,
    ordering=True,
    tokens=True,
    tenant_limits=True,
    expiry=True,
    competing=True,
    shared=True,
)
