"""Keeps up with how the API server's front proxy shows itself: clusters rotate its authority."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog

from workerpool_operator.serve.external_metrics.identity import FrontProxy

REREAD_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 5.0

ReadConfig: TypeAlias = Callable[[], Awaitable[Mapping[str, str]]]
"""The data of ConfigMap kube-system/extension-apiserver-authentication; raises when it cannot be read."""

_log = structlog.get_logger(__name__)


class FrontProxyKeeper:
    """Holds the newest usable configuration; before the first, nobody is taken for the front proxy."""

    def __init__(self, read: ReadConfig, *, reread_seconds: float = REREAD_SECONDS) -> None:
        self._read = read
        self._reread_seconds = reread_seconds
        self._current = FrontProxy()
        self._changed = asyncio.Event()
        self._known = False

    @property
    def current(self) -> FrontProxy:
        """The configuration in force."""
        return self._current

    async def changed(self, seen: FrontProxy) -> FrontProxy:
        """Return another configuration than `seen` as soon as there is one."""
        while self._current == seen:
            self._changed.clear()
            await self._changed.wait()
        return self._current

    async def run(self) -> None:
        """Read it again and again, until cancelled. The first time is due before, by :meth:`refresh`."""
        while True:
            await asyncio.sleep(self._reread_seconds if self._known else min(RETRY_SECONDS, self._reread_seconds))
            await self.refresh()

    async def refresh(self) -> None:
        """Read it once. When it cannot be read or used, everything stays as it was."""
        try:
            found = FrontProxy.of(await self._read())
            if found.ca_pem:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=found.ca_pem)
        except Exception as error:  # noqa: BLE001  whatever it is: what is known stays in force
            _log.warning("front_proxy_not_read", error=str(error))
            self._known = False
            return
        self._known = True
        if not found.ca_pem:
            _log.warning("front_proxy_without_authority")
        if found != self._current:
            _log.info("front_proxy_changed", names=list(found.allowed_names))
            self._current = found
            self._changed.set()
