"""Where a RabbitMQ is, without what it takes to get in."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from workerpool.errors import ConfigurationError

_EXAMPLE = "a RabbitMQ URL looks like amqp://host:5672/vhost, or amqps:// for TLS"


@dataclass(frozen=True, slots=True)
class RabbitAddress:
    """A virtual host of a RabbitMQ."""

    host: str
    port: int
    vhost: str = "/"
    tls: bool = False
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "RabbitAddress":
        """From `amqp://[user:password@]host[:port][/vhost]`, or `amqps://` for TLS. Without a vhost it is `/`.

        Raises:
            ConfigurationError: the URL is something else; the text does not repeat it, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(_EXAMPLE) from error
        path = parts.path.removeprefix("/")
        if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or parts.query or parts.fragment or "/" in path:
            raise ConfigurationError(f"{_EXAMPLE}; no options, and a / in the vhost's name is written as %2F")
        tls = parts.scheme == "amqps"
        return cls(
            host=parts.hostname,
            port=port or (5671 if tls else 5672),
            vhost=unquote(path) or "/",
            tls=tls,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )
