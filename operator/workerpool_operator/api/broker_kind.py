"""What all kinds of brokers have in common, and the words of their rules."""

from abc import abstractmethod
from typing import ClassVar, Final

from workerpool_operator.api._base import Model, Rule

PORT: Final = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST: Final = r"([A-Za-z0-9][-A-Za-z0-9.]*|\\[[0-9a-fA-F:.]+\\])"
NO_PASSWORD: Final = Rule(
    cel="!self.contains('@')",
    message="leave user and password out of the url: put them into a Secret and name it in credentials",
)
PRINTABLE: Final = r"^[!-~]+$"
PRINTABLE_WORDS: Final = "write it in printable ASCII without spaces"


class BrokerKind(Model):
    """How a queue in one kind of broker is reached."""

    ENCRYPTED: ClassVar[str]
    """CEL on the object's own fields, beginning with one of them: true when the connection is encrypted."""
    ENCRYPTED_WORDS: ClassVar[str]
    """What to write to have it encrypted."""
    FOR_WORKERS: ClassVar[bool] = True
    """Whether workers take jobs from it. Otherwise they are told nothing of it, and get none of its credentials."""
    WITHOUT: ClassVar[tuple[str, ...]] = ()
    """Fields of `spec.delivery` that need what this kind cannot do: they are refused beside it."""

    BY_SHARES: ClassVar[bool] = False
    """Whether it cannot count for all workers what a rate limit lets begin: each is given a share of it then."""

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """What its workers are told: the variable's name behind `QUEUE_<NAME>_`, and its value."""


REDIS_URL: Final = (
    Rule(
        cel="self.startsWith('redis://') || self.startsWith('rediss://')",
        message="the url must start with redis:// or rediss://, such as redis://redis:6379/0",
    ),
    NO_PASSWORD,
    Rule(
        cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?(/[0-9]{{0,5}})?$')",
        message="write the url as redis://HOST:PORT/DB with a port from 1 to 65535, without a path, options or "
        "fragment behind it",
    ),
)
