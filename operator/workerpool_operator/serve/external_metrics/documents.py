"""The API's documents: discovery, values, and `Status` for everything that is not one.

The list of resources is never empty: an aggregated API without resources makes clients complain at every discovery. It
holds one static name instead of the metrics, as other providers of this API do, since clients ask for any name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from workerpool_operator.domain.metric import METRIC_POOL_LABEL

Json = dict[str, Any]

GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"
GROUP_VERSION: Final = f"{GROUP}/{VERSION}"

_VERSION_ENTRY: Final = {"groupVersion": GROUP_VERSION, "version": VERSION}
_GROUP_ENTRY: Final = {"name": GROUP, "versions": [_VERSION_ENTRY], "preferredVersion": _VERSION_ENTRY}
GROUPS: Final[Json] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP_ENTRY]}
GROUP_DOCUMENT: Final[Json] = {"kind": "APIGroup", "apiVersion": "v1", **_GROUP_ENTRY}
RESOURCES: Final[Json] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": GROUP_VERSION,
    "resources": [
        {
            "name": "externalmetrics",
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
    ],
}


# Empty, but there: the API server's aggregator asks for both again and again, and logs an error each time without.
OPENAPI_V2: Final[Json] = {"swagger": "2.0", "info": {"title": GROUP, "version": VERSION}, "paths": {}}
OPENAPI_V3: Final[Json] = {"paths": {}}


@dataclass(frozen=True, slots=True)
class PoolValue:
    """One pool's value, and when what it follows from was read."""

    pool: str
    value: int
    read_at: datetime


class ApiError(Exception):
    """An answer that is no success: HTTP status, reason in Kubernetes' words, and what to tell people."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    def document(self) -> Json:
        """As Kubernetes writes errors.

        Without `Retry-After`, also when the value may be there in a moment: client-go sleeps and asks again, up to
        ten times, within one call. The HPA controller has five workers for all HPAs of the cluster, and a stale pool
        would keep one of them for as long; it comes back by itself in its next period.
        """
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


def bad_request(message: str) -> ApiError:
    """The request is malformed."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """Nobody vouches for the caller."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(message: str) -> ApiError:
    """The caller has no right to this."""
    return ApiError(403, "Forbidden", message)


def not_found(message: str) -> ApiError:
    """There is no such metric, pool or path."""
    return ApiError(404, "NotFound", message)


def unavailable(message: str) -> ApiError:
    """There is no answer now: an HPA keeps its size then."""
    return ApiError(503, "ServiceUnavailable", message)


def value_list(metric: str, values: Iterable[PoolValue]) -> Json:
    """The metric's values, an item for each pool."""
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [
            {
                "metricName": metric,
                "metricLabels": {METRIC_POOL_LABEL: one.pool},
                "timestamp": one.read_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "value": str(one.value),
            }
            for one in values
        ],
    }
