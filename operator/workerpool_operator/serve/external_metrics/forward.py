"""A standby's way to the values: it asks the leader, as itself.

The standby has let its own caller in already, and asks with its own service account's token, which the chart lets read
the metric everywhere. Of what the caller sent it passes on the question alone, and the leader's answer as it is.
"""

import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from workerpool_operator.serve.external_metrics import documents
from workerpool_operator.serve.external_metrics.documents import GROUP_VERSION
from workerpool_operator.serve.external_metrics.values import Question

Json = dict[str, Any]

FORWARDED_HEADER: Final = "X-Workerpool-Forwarded"
"""Set on a standby's question: whoever gets one and does not lead either does not ask on."""
TIMEOUT_SECONDS: Final = 1.0

_ANSWERS: Final = frozenset({200, 400, 404, 503})
"""What is passed on. A refusal is this replica's, not its caller's."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderAccess:
    """How a standby reaches the leader.

    `address()` is its host:port, empty while none is known; `authorization()` the header that proves who asks;
    `context()` trusts our own authority (None: plain HTTP, for tests); `server_name` is what the certificate is for.
    """

    address: Callable[[], str]
    authorization: Callable[[], Awaitable[str]]
    context: Callable[[], ssl.SSLContext | None]
    server_name: str


class Forwarder:
    """Asks the leader. Belongs to one event loop; :meth:`close` it in the end."""

    def __init__(self, leader: LeaderAccess) -> None:
        self._leader = leader
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32), timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def ask(self, question: Question) -> tuple[int, Json]:
        """The leader's answer: HTTP status and document. Raises ApiError (503) where there is none within a second."""
        address = self._leader.address()
        if not address:
            raise documents.unavailable("no replica of the operator leads at the moment")
        try:
            context = self._leader.context()
            async with self._session.get(
                _url(address, question, scheme="http" if context is None else "https"),
                headers={"Authorization": await self._leader.authorization(), FORWARDED_HEADER: "1"},
                ssl=context or True,
                server_hostname=self._leader.server_name if context else None,
                allow_redirects=False,
            ) as answer:
                return answer.status, _document(answer.status, await answer.read())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            _log.warning("leader_not_asked", leader=address, error=str(error) or type(error).__name__)
            raise documents.unavailable("the leading replica of the operator cannot be reached") from error


def _url(address: str, question: Question, *, scheme: str) -> URL:
    path = "/".join(quote(part, safe="") for part in (question.namespace, question.metric))
    query = f"?labelSelector={quote(question.selector, safe='')}" if question.selector else ""
    return URL(f"{scheme}://{address}/apis/{GROUP_VERSION}/namespaces/{path}{query}", encoded=True)


def _document(status: int, body: bytes) -> Json:
    found = json.loads(body)
    if status not in _ANSWERS or not isinstance(found, dict):
        raise ValueError(f"it answers {status}: {body[:200]!r}")
    return found
