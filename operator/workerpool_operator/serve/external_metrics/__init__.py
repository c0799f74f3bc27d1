"""The API `external.metrics.k8s.io`: what size each pool needs, for HPAs.

Requests come from the API server's aggregator. `server` is the TLS port, `proxy` keeps up with the aggregator's
certificates, `app` has the paths; `access` and `identity` say who may ask, `values` and `selector` what for,
`documents` how it is written down, and `forward` is a standby's way to the leader.
"""

from workerpool_operator.serve.external_metrics.access import Gate, Reviews
from workerpool_operator.serve.external_metrics.app import Backend, malformed, metrics_app
from workerpool_operator.serve.external_metrics.forward import Forwarder, LeaderAccess
from workerpool_operator.serve.external_metrics.proxy import FrontProxyKeeper
from workerpool_operator.serve.external_metrics.server import MetricsServer
from workerpool_operator.serve.external_metrics.values import Values

__all__ = [
    "Backend",
    "Forwarder",
    "FrontProxyKeeper",
    "Gate",
    "LeaderAccess",
    "MetricsServer",
    "Reviews",
    "Values",
    "malformed",
    "metrics_app",
]
