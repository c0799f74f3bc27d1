"""Where a queue in PostgreSQL is."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from workerpool.errors import ConfigurationError

_LOOKS: Final = "a PostgreSQL URL looks like postgresql://host:5432/database"
_MODES: Final = ("verify-full", "disable")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A database, without what it takes to get in."""

    host: str
    port: int
    database: str
    tls: bool
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "PostgresAddress":
        """From `postgresql://[user[:password]@]host[:port]/database[?sslmode=disable]`.

        The connection is encrypted and the server's certificate verified unless `sslmode=disable` says otherwise. The
        modes in between are refused: they look like protection, and give none against who answers in its place.

        Raises:
            ConfigurationError: the URL is something else; the text does not repeat it, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 5432
            options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise ConfigurationError(_LOOKS) from error
        database, mode = unquote(parts.path[1:]), options.pop("sslmode", "verify-full")
        if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not database or "/" in database:
            raise ConfigurationError(_LOOKS)
        if options or parts.fragment or mode not in _MODES:
            raise ConfigurationError(f"{_LOOKS}; its only option is sslmode={' or sslmode='.join(_MODES)}")
        return cls(
            host=parts.hostname,
            port=port,
            database=database,
            tls=mode == "verify-full",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )
