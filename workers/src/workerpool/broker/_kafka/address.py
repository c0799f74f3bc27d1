"""Where a Kafka is, without what it takes to get in."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from workerpool.errors import ConfigurationError

_LOOKS: Final = (
    "a Kafka URL looks like kafka://host:9092,host2:9092, or kafka+ssl:// for TLS; no path, "
    "and no option but ?sasl=SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"
)
_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """The servers of a cluster that are asked first, where the others are."""

    hosts: tuple[str, ...]
    """Each with its port."""
    tls: bool = False
    sasl: str = "PLAIN"
    """The mechanism by which a user logs in, where there is one."""
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "KafkaAddress":
        """From `kafka://[user:password@]host[:port][,host[:port]...][?sasl=...]`, or `kafka+ssl://` for TLS.

        Raises:
            ConfigurationError: the URL is something else; the text does not repeat it, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        except ValueError as error:
            raise ConfigurationError(_LOOKS) from error
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        sasl = options.pop("sasl", ["PLAIN"])[0]
        if parts.scheme not in {"kafka", "kafka+ssl"} or parts.path.strip("/") or parts.fragment or options:
            raise ConfigurationError(_LOOKS)
        if sasl not in _MECHANISMS:
            raise ConfigurationError(_LOOKS)
        return cls(
            hosts=tuple(_with_port(host) for host in hosts.split(",")),
            tls=parts.scheme == "kafka+ssl",
            sasl=sasl,
            username=unquote(username) or None,
            password=unquote(password) or None,
        )


def _with_port(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port or 9092
    except ValueError as error:
        raise ConfigurationError(_LOOKS) from error
    if not parts.hostname:
        raise ConfigurationError(_LOOKS)
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{name}:{port}"
