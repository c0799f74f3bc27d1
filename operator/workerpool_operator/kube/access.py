"""Where the API server is, and with which credentials it is asked.

The `kubernetes` package loads the configuration (service account of the pod, or a kubeconfig with everything
that may stand in one). What it leaves to its caller is here: tokens are read again by a **monotonic** clock and
after a 401, so a process that lives for months survives rotated tokens and a wall clock that jumps, and a token
file that is missing for a moment costs nothing while the old token is still good.

The same credentials serve kopf's watches: :meth:`ClusterAccess.watch_session` gives an `aiohttp` session that
asks for the token at each request. With kopf's own `ConnectionInfo` a rotated token would be noticed only by a
401, and a 401 that is answered with the same token a second time (an API server that just starts) makes kopf
give up: "Ran out of valid credentials".
"""

import contextlib
import copy
import os
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, Self

import aiohttp
import structlog
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from workerpool_operator.kube.connections import Connector, Rest
from workerpool_operator.kube.kubeconfig import examine, plugin_answers

_log = structlog.stdlib.get_logger(__name__)

PROGRAM: Final = "workerpool-operator"
"""The operator; whoever else uses this client says so, since it is not the operator that owns what a person writes."""
IN_CLUSTER_REREAD_SECONDS: Final = 60.0
KUBECONFIG_REREAD_SECONDS: Final = 300.0  # may run a credential plugin each time
RETRY_SECONDS: Final = 5.0
_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Loader = Callable[[Configuration], Awaitable[None]]
"""Fills in address and credentials, or raises `AccessError`."""


class AccessError(Exception):
    """There is no usable address of an API server, or there are no usable credentials. The text says where and why."""


class ClusterAccess:
    """Address, TLS and current credentials of one API server."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        load: Loader,
        reread_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.configuration = configuration
        self.program = PROGRAM
        """Who writes: field manager of what is written, and name of who asks."""
        self.namespace = "default"
        """The one that is meant where nobody names one, as kubectl has it."""
        self._load = load
        self._reread_seconds = reread_seconds
        self._clock = clock
        self._read_at = clock()

    @classmethod
    async def find(
        cls, kubeconfig: str | Path | None = None, *, context: str | None = None, program: str = PROGRAM
    ) -> Self:
        """The configuration that client-go would choose, for this program.

        In this order: `kubeconfig`, the file named by `KUBECONFIG`, the pod's service account,
        `~/.kube/config`.

        Raises:
            AccessError: the first of them that is there cannot be used, or none is there.
        """
        named = kubeconfig or os.environ.get("KUBECONFIG")
        if not named and os.environ.get("KUBERNETES_SERVICE_HOST"):
            return (await cls.in_cluster()).acting_as(program)
        found = await cls.from_kubeconfig(named or Path.home() / ".kube" / "config", context=context)
        return found.acting_as(program)

    @classmethod
    async def in_cluster(cls) -> Self:
        """Access by the service account that is mounted into this pod."""

        async def load(configuration: Configuration) -> None:
            with _explained("the pod's service account"):
                load_incluster_config(client_configuration=configuration, try_refresh_token=False)

        found = await cls._loaded(load, reread_seconds=IN_CLUSTER_REREAD_SECONDS)
        with contextlib.suppress(OSError):
            found.namespace = _OWN_NAMESPACE.read_text("utf-8").strip()
        return found

    @classmethod
    async def from_kubeconfig(cls, path: str | Path, *, context: str | None = None) -> Self:
        """Access by a kubeconfig file (or several, joined by colons), with its current or the named context."""

        async def load(configuration: Configuration) -> None:
            with _explained(f"kubeconfig {path}"):
                if not _exists(path):
                    raise ConfigException("there is no such file; name one in KUBECONFIG")
                with plugin_answers(examine(path, context=context)):
                    await load_kube_config(
                        str(path), context=context, client_configuration=configuration, persist_config=False
                    )
                if not configuration.host:
                    raise ConfigException("its cluster has no server")

        found = await cls._loaded(load, reread_seconds=KUBECONFIG_REREAD_SECONDS)
        with _explained(f"kubeconfig {path}"):  # it may have been changed since
            found.namespace = _namespace_of(path, context)
        return found

    @classmethod
    def with_token(cls, server: str, *, token: str, ca: Path) -> Self:
        """Access with somebody's token, for as long as it is good; `ca`: authority of the server's certificate."""

        async def load(_: Configuration) -> None:
            """There is no other one to read."""

        configuration = Configuration()
        configuration.host, configuration.ssl_ca_cert = server, str(ca)
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        configuration.client_session_kwargs = {"trust_env": False}
        return cls(configuration, load=load, reread_seconds=float("inf"))

    @classmethod
    async def _loaded(cls, load: Loader, *, reread_seconds: float) -> Self:
        configuration = Configuration()
        await load(configuration)
        configuration.client_session_kwargs = {"trust_env": False}  # see _proxy_from_environment
        configuration.proxy = configuration.proxy or _proxy_from_environment(configuration.host)
        return cls(configuration, load=load, reread_seconds=reread_seconds)

    def acting_as(self, program: str) -> Self:
        """The same for another program."""
        found = copy.copy(self)
        found.program = program
        return found

    @property
    def server(self) -> str:
        """URL of the API server, without a slash at its end."""
        return str(self.configuration.host).rstrip("/")

    async def authorization(self) -> str:
        """The `Authorization` header to send now; empty when a client certificate speaks for us."""
        if self._clock() - self._read_at >= self._reread_seconds:
            await self._read_again()
        return str(self.configuration.api_key.get("BearerToken") or "")

    def refused(self) -> None:
        """The server answered 401: read the credentials again, at most every `RETRY_SECONDS`."""
        self._read_at = min(self._read_at, self._clock() - self._reread_seconds + RETRY_SECONDS)

    async def _read_again(self) -> None:
        self._read_at = self._clock()  # first, so that requests in parallel read only once
        try:
            await self._load(self.configuration)
        except AccessError as error:
            _log.warning("credentials cannot be read again, the old ones stay", error=str(error))
            self.refused()

    def watch_session(self, *middlewares: aiohttp.ClientMiddlewareType) -> aiohttp.ClientSession:
        """A session for long-lived watches with the same TLS settings, which authenticates each request anew.

        `middlewares` see each answer before the caller does.

        The caller owns and closes it. kopf takes it as `kopf.AiohttpSession(server=access.server,
        aiohttp_session=access.watch_session(lists_anew))`.
        """
        tls = Rest(self.configuration).ssl_context
        return aiohttp.ClientSession(
            connector=Connector(limit=0, ssl=tls),
            middlewares=(*middlewares, self._authenticate),
            proxy=self.configuration.proxy,
            read_bufsize=2**21,  # a watch event is one line, and objects may be large
        )

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if header := await self.authorization():
            request.headers["Authorization"] = header
        response = await handler(request)
        if response.status == 401:  # noqa: PLR2004  an HTTP status
            self.refused()
        return response


def _namespace_of(path: str | Path, context: str | None) -> str:
    """That of the context in force."""
    merged = KubeConfigMerger(str(path)).config
    chosen = KubeConfigLoader(config_dict=merged, active_context=context).current_context
    return str(chosen["context"].get("namespace") or "default")


def _exists(paths: str | Path) -> bool:
    return any(Path(path).exists() for path in str(paths).split(os.pathsep))


@contextlib.contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn whatever the loader stumbles over into an `AccessError`: over a malformed file it does so in many ways."""
    try:
        yield
    except (ConfigException, OSError) as error:
        raise AccessError(f"{source} cannot be used: {error}") from error
    except Exception as error:
        raise AccessError(f"{source} cannot be used: it is malformed ({error})") from error


def _proxy_from_environment(server: str) -> str | None:
    """The proxy that the environment names for `server`, looked up once.

    The alternative, aiohttp's `trust_env`, looks for a proxy **and** for a `.netrc` at every request, the
    latter in a thread.
    """
    url = urllib.parse.urlsplit(server)
    if not url.hostname or urllib.request.proxy_bypass(url.hostname):
        return None
    return urllib.request.getproxies().get(url.scheme)
