"""A queue in one word of the command line: `KIND,field=value,...`."""

from typing import Any, Final

from workerpool_operator.api.brokers import KINDS

EXAMPLE: Final = "redisStream,url=redis://redis:6379/0,stream=thumbs,group=thumbs"
_LISTS: Final = frozenset({"keys", "running"})
_SECRETS: Final = {"usernameSecret": "username", "passwordSecret": "password"}


def parse_queue(text: str, *, name: str) -> dict[str, Any]:
    """An entry of `spec.queues`, called `name` unless it says another name. Lists are written with `;`.

    Raises:
        ValueError: it cannot be read; the text says what to write.
    """
    kind, *parts = text.split(",")
    if kind not in KINDS:
        raise ValueError(f"--queue {text!r}: begins with one of {', '.join(KINDS)}, such as {EXAMPLE}")
    found: dict[str, Any] = {"name": name, kind: {}}
    for part in parts:
        field, equals, value = part.partition("=")
        if not (field and equals and value):
            raise ValueError(f"--queue {text!r}: {part!r} is not field=value, such as {EXAMPLE}")
        if field == "name":
            found["name"] = value
        elif field in _SECRETS:
            secret, slash, key = value.partition("/")
            if not (secret and slash and key):
                raise ValueError(f"--queue {text!r}: {field} is written as SECRET/KEY")
            credentials = found.setdefault("credentials", {})
            credentials[_SECRETS[field]] = {"secretKeyRef": {"name": secret, "key": key}}
        else:
            found[kind][field] = value.split(";") if field in _LISTS else value
    return found
