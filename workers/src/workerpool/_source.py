"""Where a queue is: read from the environment that the operator gives, or written by hand."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workerpool.broker import Broker, Credentials, connect
from workerpool.broker._connect import kind_of
from workerpool.errors import ConfigurationError

if TYPE_CHECKING:
    from workerpool.broker._memory_store import MemoryStore

_URL_VARIABLE: Final = re.compile(r"QUEUE_([A-Z0-9_]+)_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A queue, and what it takes to reach it."""

    name: str = "main"
    url: str = field(repr=False)
    stream: str = ""
    group: str = ""
    credentials: Credentials = field(default_factory=Credentials)
    rate_limit: float | None = None
    """Jobs per second that one producer enqueues at most."""
    store: "MemoryStore | None" = None
    """What all views of a queue in memory share."""

    @property
    def local(self) -> bool:
        """Whether no other machine can reach it."""
        return kind_of(self.url).local

    @property
    def system(self) -> str:
        """The kind of its broker, as traces name it."""
        return kind_of(self.url).system

    def beside(self, name: str) -> "Source":
        """See `Queue.beside`."""
        kind = kind_of(self.url)
        if kind.system == "memory":
            raise ConfigurationError("a queue in memory has no other one beside it")
        other = replace(self, name=f"{self.name}-{name}", rate_limit=None)
        if kind.named_by:
            return replace(other, stream=f"{self.stream}-{name}", group="")
        path, question, rest = self.url.partition("?")
        return replace(other, url=f"{path}-{name}{question}{rest}")

    def connect(self, *, consumer: str = "", lease_seconds: float = 60.0, timeout: float = 5.0) -> Broker:
        """A new view of the queue; see `workerpool.broker.connect`."""
        return connect(
            self.url,
            stream=self.stream,
            group=self.group,
            credentials=self.credentials,
            timeout=timeout,
            consumer=consumer,
            lease_seconds=lease_seconds,
            store=self.store,
        )


def sources_from(env: Mapping[str, str]) -> dict[str, Source]:
    """The queues that the environment names, in order of their names.

    `QUEUE_<NAME>_URL` and beside it what names the queue in its broker (for Redis `_STREAM` and `_GROUP`),
    `_USERNAME_FILE`, `_PASSWORD_FILE`, `_CA_FILE`, `_CERT_FILE`, `_KEY_FILE`, and for producers `_RATE_LIMIT`, where
    `<NAME>` is the queue's name in upper case with `-` as `_`.

    Raises:
        ConfigurationError: something is missing or wrong; the text names the variable.
    """
    found = (_URL_VARIABLE.fullmatch(variable) for variable in sorted(env))
    return {source.name: source for source in (_source(env, match[1]) for match in found if match)}


def _source(env: Mapping[str, str], name: str) -> Source:
    prefix = f"QUEUE_{name}"
    url = env[f"{prefix}_URL"]
    if not url:
        raise ConfigurationError(f"{prefix}_URL is empty: write an address such as redis://redis:6379/0")
    stream = _stream(env, prefix, url)

    def path(suffix: str) -> Path | None:
        value = env.get(f"{prefix}_{suffix}", "")
        return Path(value) if value else None

    source = Source(
        name=name.lower().replace("_", "-"),
        url=url,
        stream=stream,
        group=env.get(f"{prefix}_GROUP", "") or stream,
        rate_limit=_rate(env, f"{prefix}_RATE_LIMIT"),
        credentials=Credentials(
            username_file=path("USERNAME_FILE"),
            password_file=path("PASSWORD_FILE"),
            ca_file=path("CA_FILE"),
            cert_file=path("CERT_FILE"),
            key_file=path("KEY_FILE"),
        ),
    )
    try:
        source.connect()
    except ConfigurationError as error:
        raise ConfigurationError(f"{prefix}_URL: {error}") from error
    return source


def _stream(env: Mapping[str, str], prefix: str, url: str) -> str:
    """What names the queue in its broker."""
    try:
        kind = kind_of(url)
    except ConfigurationError as error:
        raise ConfigurationError(f"{prefix}_URL: {error}") from error
    if not kind.named_by:
        return ""
    variable = f"{prefix}_{kind.named_by}"
    if not env.get(variable):
        raise ConfigurationError(f"{variable} is missing: {kind.named_words}")
    return env[variable]


def _rate(env: Mapping[str, str], variable: str) -> float | None:
    text = env.get(variable, "")
    try:
        return check_rate(float(text)) if text else None
    except (ValueError, ConfigurationError):
        raise ConfigurationError(f"{variable} is {text!r}: write jobs per second, above 0") from None


def check_rate(rate: float | None) -> float | None:
    """The rate, if it is one.

    Raises:
        ConfigurationError: it is none.
    """
    if rate is not None and not 0 < rate < math.inf:
        raise ConfigurationError("a rate_limit is a number of jobs per second, above 0; None for no limit")
    return rate
