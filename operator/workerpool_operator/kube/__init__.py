"""The only place that talks to the Kubernetes API (kopf's watches apart).

`ClusterAccess` finds address and credentials, `Kube` sends requests, `LeaderElector` decides who may write,
`EventRecorder` writes events, `errors` holds what can go wrong, `kinds` what there is.
"""

from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.access import AccessError, ClusterAccess
from workerpool_operator.kube.client import Kube, RequestObserver
from workerpool_operator.kube.connections import Connector
from workerpool_operator.kube.errors import KubeError
from workerpool_operator.kube.events import EventRecorder, EventType
from workerpool_operator.kube.kinds import Kind, ObjectRef, kind_of, ref_of
from workerpool_operator.kube.lease import LeaderElector, LeaseTimes
from workerpool_operator.kube.listing import Listing
from workerpool_operator.kube.relist import lists_anew
from workerpool_operator.kube.review import Identity

__all__ = [
    "AccessError",
    "ClusterAccess",
    "Connector",
    "EventRecorder",
    "EventType",
    "Identity",
    "Kind",
    "Kube",
    "KubeError",
    "LeaderElector",
    "LeaseTimes",
    "Listing",
    "ObjectRef",
    "RequestObserver",
    "errors",
    "kind_of",
    "kinds",
    "lists_anew",
    "ref_of",
]
