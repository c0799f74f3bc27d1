"""Servers beside the cluster that commands ask over HTTP, such as a Prometheus: one question, one JSON answer."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.terminal import one_line

_TIMEOUT_SECONDS: Final = 60.0
_MOST_REASON: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One, by its address; `kind` and the `option` that names it are for messages."""

    address: str
    kind: str
    option: str
    timeout_seconds: float = _TIMEOUT_SECONDS

    def ask(self, path: str, *, method: str = "GET", body: Any = None) -> Any:
        """What it answers; None: nothing, which is an answer.

        Raises:
            TroubleError: it cannot be reached, refuses, breaks off, or what it says is no JSON.
        """
        url = f"{self.address.rstrip('/')}/{path}"
        if not url.startswith(("http://", "https://")):
            raise TroubleError(f"{self.address} is no address of {self.kind}: write it as http://HOST:PORT")
        request = urllib.request.Request(  # noqa: S310  checked above
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:  # noqa: S310
                text = answer.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise TroubleError(f"{self.address} refuses: {error.code} {error.reason}; {_why(error)}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = one_line(str(getattr(error, "reason", error)))
            raise TroubleError(
                f"{self.address} cannot be asked: {why}. Give its address with {self.option}; "
                "kubectl port-forward makes one inside the cluster reachable"
            ) from None

    def strange(self) -> TroubleError:
        """Something else answers there."""
        return TroubleError(f"{self.address} does not answer as {self.kind} does")


def _why(error: urllib.error.HTTPError) -> str:
    """What it says of its refusal, as Prometheus has it, as a JSON string, or as plain text."""
    try:
        text = error.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        text = ""
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    found = said.get("error", "") if isinstance(said, dict) else said
    return one_line(str(found))[:_MOST_REASON] or "it does not say why"
