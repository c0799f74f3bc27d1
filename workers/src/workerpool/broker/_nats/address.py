"""Where a NATS server is."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from workerpool.errors import ConfigurationError

_LOOKS = "a NATS URL looks like nats://host:4222, or tls:// for TLS; no path, no options"


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """A server, without what it takes to get in."""

    host: str
    port: int = 4222
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    """Without a password it is a token."""
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "NatsAddress":
        """From `nats://[user:password@]host[:port]` or `nats://[token@]host[:port]`, or `tls://` for TLS.

        Raises:
            ConfigurationError: the URL is something else; the text does not repeat it, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 4222
        except ValueError as error:
            raise ConfigurationError(_LOOKS) from error
        rest = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in {"nats", "tls"} or not parts.hostname or rest:
            raise ConfigurationError(_LOOKS)
        return cls(
            host=parts.hostname,
            port=port,
            tls=parts.scheme == "tls",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
