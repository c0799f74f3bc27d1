"""The application: paths, who may read them, and errors as Kubernetes writes them.

Discovery and health are answered by every replica, values by the leader; a standby asks the leader for them.
"""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import structlog
from aiohttp import web

from workerpool_operator.serve.external_metrics import documents
from workerpool_operator.serve.external_metrics.access import Access, Gate
from workerpool_operator.serve.external_metrics.documents import GROUP, GROUP_VERSION, ApiError
from workerpool_operator.serve.external_metrics.forward import FORWARDED_HEADER
from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.external_metrics.values import Question, Values
from workerpool_operator.serve.listener import Refusal, vouch

Json = dict[str, Any]

_log = structlog.get_logger(__name__)

_DISCOVERY: Final[Mapping[str, Json]] = {
    "/apis": documents.GROUPS,
    f"/apis/{GROUP}": documents.GROUP_DOCUMENT,
    f"/apis/{GROUP_VERSION}": documents.RESOURCES,
    "/openapi/v2": documents.OPENAPI_V2,
    "/openapi/v3": documents.OPENAPI_V3,
}
_VALUES: Final = f"/apis/{GROUP_VERSION}/namespaces/{{namespace}}/{{metric}}"
_HEALTH: Final = ("/healthz", "/livez", "/readyz")


class Asked(StrEnum):
    """What a request is counted as."""

    VALUES = "values"
    """Values of a metric, by somebody who may read them: as HPAs do."""
    OTHER = "other"
    """Anything else: discovery, health, and what strangers send."""


_ASKED: Final = web.RequestKey("asked", Asked)


class Leader(Protocol):
    """Where a standby gets its values."""

    async def ask(self, question: Question) -> tuple[int, Json]:
        """HTTP status and document; raises ApiError where there is no answer."""


class Observer(Protocol):
    """Hears of each answer, for metrics."""

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        """A request was answered with this HTTP status. `kind`: what was asked for (`Asked`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where the answers come from."""

    gate: Gate
    values: Values
    leads: Callable[[], bool]
    """Whether this replica leads, at this very moment."""
    leader: Leader
    observer: Observer


def metrics_app(backend: Backend, *, proxy: FrontProxy) -> web.Application:
    """The application that serves the API on connections whose client certificates were verified for `proxy`."""
    api = _Api(backend, proxy=proxy)
    app = web.Application(middlewares=[api.observed])
    for path in _HEALTH:
        app.router.add_get(path, _healthy)
    for path in _DISCOVERY:
        app.router.add_get(path, api.discover)
    app.router.add_get(_VALUES, api.read)
    return app


def malformed(observer: Observer) -> Refusal:
    """The answer to what is no request, counted like any other."""

    def refuse(why: str) -> web.Response:
        observer.metrics_request(kind=Asked.OTHER, code=400, seconds=0.0)
        return _answer(400, documents.bad_request(why).document())

    return refuse


class _Api:
    """The handlers."""

    def __init__(self, backend: Backend, *, proxy: FrontProxy) -> None:
        self._backend = backend
        self._proxy = proxy

    async def discover(self, request: web.Request) -> web.Response:
        """A discovery document, for whoever may see the path: everybody with a name, unless the cluster is odd."""
        await self._check(request, Access(request.path))
        return _answer(200, _DISCOVERY[request.path])

    async def read(self, request: web.Request) -> web.Response:
        """Values of the metric."""
        namespace, metric = request.match_info["namespace"], request.match_info["metric"]
        await self._check(request, Access(namespace=namespace, metric=metric))
        request[_ASKED] = Asked.VALUES
        question = Question(namespace, metric, request.query.get("labelSelector", ""))
        if self._backend.leads():
            return _answer(200, self._backend.values.answer(question))
        if FORWARDED_HEADER in request.headers:
            raise documents.unavailable("this replica of the operator was asked as the leader and does not lead")
        return _answer(*await self._backend.leader.ask(question))

    @web.middleware
    async def observed(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every error as a `Status` object, every request counted."""
        started = time.monotonic()
        try:
            response = await handler(request)
        except ApiError as error:
            response = _answer(error.code, error.document())
        except web.HTTPException as error:  # the router's: no such path, or not by this method
            response = _answer(error.status, ApiError(error.status, _reason(error.status), error.reason).document())
        except Exception as error:  # noqa: BLE001  a fault of ours is an answer too
            _log.exception("metrics_request_failed", path=request.path)
            response = _answer(500, ApiError(500, "InternalError", type(error).__name__).document())
        kind = request.get(_ASKED, Asked.OTHER)
        self._backend.observer.metrics_request(kind=kind, code=response.status, seconds=time.monotonic() - started)
        return response

    async def _check(self, request: web.Request, access: Access) -> None:
        connection = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        certificate = None if connection is None else connection.getpeercert()
        if self._proxy.shown(certificate):
            vouch(request)
        await self._backend.gate.check(access, proxy=self._proxy, certificate=certificate, headers=request.headers)


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _reason(status: int) -> str:
    return {404: "NotFound", 405: "MethodNotAllowed"}.get(status, "")


def _answer(status: int, document: Json) -> web.Response:
    return web.Response(status=status, text=json.dumps(document), content_type="application/json")
