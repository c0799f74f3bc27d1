"""What RabbitMQ's quorum queues can do."""

from typing import Final

from workerpool.broker._types import Capabilities

CAPABILITIES: Final = Capabilities(
    lease=True,  # by the connection: its end gives the jobs back
    extend=False,
    delay=True,
    deduplicate=False,
    oldest_age=False,
    in_flight=False,  # only its management plugin knows, 5 s late
    arrivals=False,
    notifies=False,
    priority=False,
    fair=False,
    ordering=False,
    tokens=False,
    tenant_limits=False,
    expiry=True,
    competing=True,
    shared=True,
)
