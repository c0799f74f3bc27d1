"""The client: one request in, one JSON object out, or one exception of :mod:`.errors`.

It stands on the REST layer of the official `kubernetes.aio` client, which brings TLS, proxies and the connection pool,
and leaves out that package's models and its `sanitize` copy: the operator's objects are JSON anyway. Measured for an
apply of a 1.7 kB Deployment (client CPU, medians): bare aiohttp 1.2 ms, this client 1.4 ms, models 2.2 ms.

Choices that matter elsewhere:

- **Nothing is retried here** except the pages of a listing. A reconcile is repeated as a whole by its queue,
  with backoff, from a fresh observation; a write repeated behind its back would be a write nobody planned.
- **Every write passes the gate** (the lease, see :mod:`.lease`) after it has waited for its turn, as it is sent.
- **A request ends before another leader can start**: `REQUEST_TIMEOUT_SECONDS` is shorter than the lease's
  duration minus its renew deadline, and a write carries `timeout=`, so the server gives up as well.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeVar
from urllib.parse import urlencode

import aiohttp

from workerpool_operator import __version__
from workerpool_operator.kube import answers, errors, kinds
from workerpool_operator.kube.access import ClusterAccess
from workerpool_operator.kube.connections import Rest
from workerpool_operator.kube.kinds import ACCESS_REVIEW, SELF_ACCESS_REVIEW, TOKEN_REVIEW, Kind, ObjectRef, kind_of
from workerpool_operator.kube.listing import Entry, Listing, Page, entries_of, objects_of
from workerpool_operator.kube.review import Identity, identity_of, user_of

Json = dict[str, Any]
Answer = TypeVar("Answer")
Verb = Literal["get", "list", "create", "apply", "patch", "delete"]
Propagation = Literal["Background", "Foreground", "Orphan"]

REQUEST_TIMEOUT_SECONDS: Final = 4.0
LIST_TIMEOUT_SECONDS: Final = 30.0
DEFAULT_CONCURRENCY: Final = 32

_METHODS: Final[Mapping[Verb, str]] = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "apply": "PATCH",
    "patch": "PATCH",
    "delete": "DELETE",
}
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"  # every JSON document is YAML
_MERGE: Final = "application/merge-patch+json"
_OK: Final = range(200, 300)
_VERSION: Final = Kind("", "", "version", "Version", namespaced=False)
_SCHEMA: Final = Kind("", "", "schema", "Schema", namespaced=False)
"""Not kinds of objects: only the names of these requests in the metrics."""
_KINDS: Final = "x-kubernetes-group-version-kind"


class RequestObserver(Protocol):
    """Hears of each request, for metrics."""

    def api_request(self, *, verb: str, kind: str, code: str, seconds: float) -> None:
        """A request ended; `code` is the HTTP status or the class of the error that kept it from having one."""

    def api_retry(self, *, verb: str, kind: str) -> None:
        """A request is about to be sent again."""


class Kube:
    """Client of one API server. Use it as an async context manager, or call :meth:`close`."""

    def __init__(
        self,
        access: ClusterAccess,
        *,
        observer: RequestObserver | None = None,
        write_gate: Callable[[], None] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        `write_gate` is called before each write and may raise (:meth:`.lease.LeaderElector.check`); token
        reviews are not writes. `concurrency` bounds the requests in flight: the rest wait their turn, so that
        a resync of thousands of pools neither floods the API server nor starves the event loop.
        """
        self._access = access
        self._observer = observer
        self._write_gate = write_gate
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_seconds = timeout_seconds
        self._rest = Rest(access.configuration)
        self.date = ""  # of the last answer, by the server's clock: see :mod:`.clock`
        self._user_agent = f"{access.program}/{__version__}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def get(self, ref: ObjectRef) -> Json:
        """The object; raises NotFound."""
        return await self._ask("get", ref.kind, ref.path(), what=str(ref))

    def list(
        self,
        kind: Kind,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        chunk: int = 500,
    ) -> Listing[Json]:
        """All objects of a kind, page by page; see :class:`.listing.Listing`."""
        query = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": str(chunk)}
        return self._listing(kind, namespace, query=query, decode=objects_of)

    def entries(
        self, kind: Kind, *, namespace: str | None = None, label_selector: str = "", chunk: int = 1_000
    ) -> Listing[Entry]:
        """The same for who compares: of each object who it is and which version, and the rest where it is asked for.

        So they take less memory, and come in larger pages.
        """
        query = {"labelSelector": label_selector, "limit": str(chunk)}
        return self._listing(kind, namespace, query=query, decode=entries_of)

    def _listing(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        query: Mapping[str, str],
        decode: Callable[[Kind, bytes], Page[Answer]],
    ) -> Listing[Answer]:
        query = {key: value for key, value in query.items() if value}

        async def page(continue_token: str) -> Page[Answer]:
            paging = {"continue": continue_token} if continue_token else {}
            what = f"{kind.plural} of {namespace or 'all namespaces'}"
            data = await self._call(
                "list",
                kind,
                kind.path(namespace=namespace),
                query={**query, **paging},
                timeout_seconds=LIST_TIMEOUT_SECONDS,
                what=what,
            )
            try:
                return decode(kind, data)
            except ValueError as error:
                raise errors.Unavailable(f"list {what}: the answer is no list in JSON: {error}") from error

        return Listing(page, on_retry=self._count_list_retry(kind))

    async def create(self, obj: Json, *, dry_run: bool = False, strict: bool = False) -> Json:
        """Create the object; raises AlreadyExists. `dry_run`: only have it checked, by all that would check it.

        `strict`: with a field that the server does not know it is refused (UnknownField); else that is dropped.
        """
        kind, metadata = kind_of(obj), obj["metadata"]
        path = kind.path(namespace=metadata.get("namespace"))
        what = f"{kind} {metadata.get('namespace', '')}/{metadata['name']}"
        query = self._written_by_us(strict=strict) | ({"dryRun": "All"} if dry_run else {})
        return await self._write("create", kind, path, query=query, body=obj, content_type=_JSON, what=what)

    async def apply(self, obj: Json, *, force: bool = True, subresource: str = "") -> Json:
        """Create or update by server-side apply, and give back what the server then has.

        `obj` holds every field that the operator owns: one that is left out is given up. With `metadata.uid` set
        it is applied to that very object or not at all (Conflict); a `metadata.resourceVersion` alone does not
        keep the server from making a deleted object anew.
        With `force=False` a field that another manager owns gives a Conflict whose `causes` name it.
        """
        ref = _ref_for_write(obj)
        query = {"fieldManager": self._access.program, "force": "true" if force else "false"}
        return await self._write(
            "apply", ref.kind, ref.path(subresource), query=query, body=obj, content_type=_APPLY, what=str(ref)
        )

    async def merge_patch(
        self,
        ref: ObjectRef,
        patch: Json,
        *,
        subresource: str = "",
        uid: str | None = None,
        resource_version: str | None = None,
        strict: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """Merge `patch` into an object that exists, and give back the result.

        With `uid` or `resource_version` the patch is refused (Conflict) when the object is another one by now,
        or has changed: required for each write that shrinks something. `strict` and `dry_run` are as for `create`.
        """
        query = self._written_by_us(strict=strict) | ({"dryRun": "All"} if dry_run else {})
        body = _with_preconditions(patch, uid=uid, resource_version=resource_version)
        return await self._write(
            "patch", ref.kind, ref.path(subresource), query=query, body=body, content_type=_MERGE, what=str(ref)
        )

    async def delete(
        self,
        ref: ObjectRef,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        """Delete the object; one that is gone already is fine. `grace_seconds`: of a pod, instead of its own.

        Raises Conflict when `uid` or `resource_version` no longer match.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {key: value for key, value in preconditions.items() if value},
            **({} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}),
        }
        with suppress(errors.NotFound):
            await self._write("delete", ref.kind, ref.path(), body=body, content_type=_JSON, what=str(ref))

    async def token_review(self, token: str, *, audience: str) -> Identity | None:
        """Whose `token` this is, or None where the API server does not vouch for it with this audience."""
        if not token:
            return None  # the server would call the review itself invalid
        status = await self._review(TOKEN_REVIEW, {"token": token, "audiences": [audience]})
        return identity_of(status, audience=audience)

    async def user_info(self, token: str) -> Json | None:
        """The user whose `token` for the API server itself this is, as TokenReview names it; None for no valid one."""
        if not token:
            return None
        status = await self._review(TOKEN_REVIEW, {"token": token})
        return user_of(status)

    async def allowed(self, spec: Json) -> bool:
        """Whether the cluster's rules allow what `spec` (of a SubjectAccessReview) describes."""
        status = await self._review(ACCESS_REVIEW, spec)
        return status.get("allowed") is True

    async def may(self, resource: Json) -> bool:
        """Whether we may do what `resource` (`resourceAttributes` of a SelfSubjectAccessReview) describes."""
        status = await self._review(SELF_ACCESS_REVIEW, {"resourceAttributes": resource})
        return status.get("allowed") is True

    async def _review(self, kind: Kind, spec: Json | None = None) -> Json:
        """Ask for a review and give its status. Nothing is written, so the gate is not asked."""
        body: Json = {"apiVersion": kind.api_version, "kind": kind.kind} | ({} if spec is None else {"spec": spec})
        answer = await self._ask("create", kind, kind.path(), body=body, what=str(kind))
        status: Json = answer.get("status") or {}
        return status

    async def whoami(self) -> str:
        """The name by which the API server knows us; whoever is somebody may ask."""
        status = await self._review(kinds.SELF_SUBJECT_REVIEW)
        return str((status.get("userInfo") or {}).get("username") or "")

    async def server_version(self) -> tuple[int, int] | None:
        """(major, minor) of the API server that answers; None where it does not say it in numbers."""
        answer = await self._ask("get", _VERSION, "/version", what="server version")
        # Vendors add to the minor one: "35+".
        major, minor = (re.match(r"\d+", str(answer.get(part, ""))) for part in ("major", "minor"))
        return (int(major.group()), int(minor.group())) if major and minor else None

    async def published(self, kind: Kind) -> Json:
        """The schema by which the API server takes objects of this kind, as OpenAPI; any of its users may read it.

        Raises NotFound where it has none.
        """
        what = f"schema of {kind}"
        path = f"/openapi/v3/{'apis' if kind.group else 'api'}/{kind.api_version}"
        answer = await self._ask("get", _SCHEMA, path, what=what)
        told: Mapping[str, Json] = (answer.get("components") or {}).get("schemas") or {}
        for schema in told.values():
            if {"group": kind.group, "version": kind.version, "kind": kind.kind} in schema.get(_KINDS, ()):
                return schema
        raise errors.NotFound(f"get {what}: there is none")

    def _written_by_us(self, *, strict: bool) -> dict[str, str]:
        return {"fieldManager": self._access.program} | ({"fieldValidation": "Strict"} if strict else {})

    def _count_list_retry(self, kind: Kind) -> Callable[[], None]:
        def count() -> None:
            if self._observer:
                self._observer.api_retry(verb="list", kind=kind.kind)

        return count

    async def _write(
        self,
        verb: Verb,
        kind: Kind,
        path: str,
        *,
        body: Json,
        content_type: str,
        what: str,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        # The server ends the request too: a write must not happen long after its sender gave up on it.
        limits = {**(query or {}), "timeout": f"{self._timeout_seconds:g}s"}
        return await self._ask(
            verb, kind, path, query=limits, body=body, content_type=content_type, what=what, gate=self._write_gate
        )

    async def _ask(self, verb: Verb, kind: Kind, path: str, *, what: str, **more: Any) -> Json:
        """The same as `_call`, where the answer is one object."""
        return answers.decoded(await self._call(verb, kind, path, what=what, **more), request=f"{verb} {what}")

    async def _call(
        self,
        verb: Verb,
        kind: Kind,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = _JSON,
        timeout_seconds: float | None = None,
        gate: Callable[[], None] | None = None,
    ) -> bytes:
        """Wait for a slot, pass the gate, send, count."""
        async with self._slots:
            if gate:
                gate()
            started = time.monotonic()
            code = "cancelled"
            try:
                status, answer = await self._send(
                    _METHODS[verb],
                    self._access.server + path + (f"?{urlencode(query)}" if query else ""),
                    body=body,
                    content_type=content_type,
                    timeout_seconds=timeout_seconds or self._timeout_seconds,
                    request=f"{verb} {what}",
                )
            except errors.KubeError as error:
                code = error.code
                raise
            else:
                code = str(status)
                return answer
            finally:
                if self._observer:
                    seconds = time.monotonic() - started
                    self._observer.api_request(verb=verb, kind=kind.kind, code=code, seconds=seconds)

    async def _send(
        self, method: str, url: str, *, body: Json | None, content_type: str, timeout_seconds: float, request: str
    ) -> tuple[int, bytes]:
        headers = {"Accept": _JSON, "Content-Type": content_type, "User-Agent": self._user_agent}
        try:
            if authorization := await self._access.authorization():
                headers["Authorization"] = authorization
            response = await self._rest.request(
                method, url, headers=headers, body=body, _request_timeout=aiohttp.ClientTimeout(total=timeout_seconds)
            )
            self.date = response.headers.get("Date", "")
            data = await response.read()
        except TimeoutError as error:
            raise errors.RequestTimeout(f"{request}: no answer within {timeout_seconds:g} s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise errors.Untrusted(answers.misfit(error.certificate_error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"{request}: {error or type(error).__name__}") from error
        if response.status not in _OK:
            if response.status == 401:  # noqa: PLR2004  an HTTP status
                self._access.refused()
            raise errors.error_from_answer(response.status, data, headers=response.headers, request=request)
        return response.status, data


def _ref_for_write(obj: Mapping[str, Any]) -> ObjectRef:
    kind, metadata = kind_of(obj), obj["metadata"]
    if kind.namespaced and not metadata.get("namespace"):
        raise ValueError(f"{kind} {metadata['name']} has no namespace")
    return ObjectRef(kind, metadata.get("namespace", ""), metadata["name"])


def _with_preconditions(patch: Json, *, uid: str | None, resource_version: str | None) -> Json:
    wanted = {"uid": uid, "resourceVersion": resource_version}
    preconditions = {key: value for key, value in wanted.items() if value}
    return {**patch, "metadata": {**patch.get("metadata", {}), **preconditions}} if preconditions else patch
