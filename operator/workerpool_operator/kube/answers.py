"""What comes back from the API server, or instead of an answer."""

from typing import Any

import msgspec

from workerpool_operator.kube import errors

Json = dict[str, Any]


def decoded(data: bytes, *, request: str) -> Json:
    """An answer that is one object. `request`: for the message.

    Raises:
        errors.Unavailable: it is none, so it is not the API server that speaks.
    """
    try:
        answer = msgspec.json.decode(data)
    except ValueError as error:
        raise errors.Unavailable(f"{request}: the answer is not JSON") from error
    if not isinstance(answer, dict):
        raise errors.Unavailable(f"{request}: the answer is not a JSON object")
    return answer


def misfit(error: Exception) -> str:
    """What does not fit of a certificate, as OpenSSL has it: that it has expired, or is for another name."""
    return str(getattr(error, "verify_message", "") or error).rstrip(".")
