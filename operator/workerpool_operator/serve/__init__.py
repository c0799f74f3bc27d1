"""What the operator serves: the stream endpoint for collectors, and health with metrics.

Connections only go up: collectors dial in, the operator dials nobody. `state.StreamState` holds what they said and
the orders for them; `stream` is the TLS endpoint; `health` the plain HTTP one. `external_metrics` gives out what
`values.ValueBoard` holds.
"""

from workerpool_operator.serve.health import Health, health_app
from workerpool_operator.serve.state import Peer, PoolView, StreamState
from workerpool_operator.serve.stream import Authenticate, StreamServer
from workerpool_operator.serve.values import ValueBoard

__all__ = ["Authenticate", "Health", "Peer", "PoolView", "StreamServer", "StreamState", "ValueBoard", "health_app"]
