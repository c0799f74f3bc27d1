"""Kinds of which only a depth is read. What takes the jobs is not told where they are: it knows, or is no SDK's."""

from typing import Annotated, Final

from pydantic import Field

from workerpool_operator.api._base import ATOMIC, Rule, explained, rules
from workerpool_operator.api.broker_kind import HOST, NO_PASSWORD, PORT, PRINTABLE_WORDS, REDIS_URL, BrokerKind

_HTTP_RULES: Final = (
    Rule(
        cel="self.startsWith('http://') || self.startsWith('https://')",
        message="the url must start with http:// or https://",
    ),
    NO_PASSWORD,
)


class Question(BrokerKind):
    """A depth that the collector asks for, every 5 s. What takes the jobs is not told to the workers."""

    ENCRYPTED = "url.startsWith('https://')"
    ENCRYPTED_WORDS = "write the url as https://"
    FOR_WORKERS = False

    def variables(self) -> dict[str, str]:
        """None."""
        return {}


_RedisKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        # Printable, or what Celery puts between a queue's name and a priority unless its option `sep` says otherwise.
        pattern=r"^[\x06\x16!-~]+$",
        json_schema_extra=explained(PRINTABLE_WORDS),
    ),
]


class RedisList(BrokerKind):
    """Keys of a Redis in which another library keeps its jobs. What takes the jobs is not told to the workers."""

    ENCRYPTED = "url.startsWith('rediss://')"
    ENCRYPTED_WORDS = "write the url as rediss://"
    FOR_WORKERS = False

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address: redis://HOST:PORT/DB, or rediss:// for TLS. No user, password or options in it.",
        json_schema_extra=rules(*REDIS_URL),
    )
    keys: tuple[_RedisKey, ...] = Field(
        min_length=1,
        max_length=32,
        description="Keys that hold the jobs that wait: lists, sorted sets, sets or hashes. Their lengths are added "
        "up.",
        json_schema_extra=ATOMIC,
    )
    running: tuple[_RedisKey, ...] = Field(
        default=(),
        max_length=32,
        description="Keys that hold the jobs in flight, those of workers that have died too. Without them, the jobs "
        "in flight are those that the pool's workers report.",
        json_schema_extra=ATOMIC,
    )

    def variables(self) -> dict[str, str]:
        """None."""
        return {}


class PrometheusQuery(Question):
    """An instant query to a Prometheus that gives one number of jobs."""

    url: str = Field(
        min_length=1,
        max_length=512,
        description="Address of the Prometheus: http://HOST:PORT, or https://; a path before /api/v1/query may follow. "
        "No user, password or options in it.",
        json_schema_extra=rules(
            *_HTTP_RULES,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?(/[-_.~/A-Za-z0-9]*)?$')",
                message="write the url as http://HOST:PORT with a port from 1 to 65535; only a path may follow",
            ),
        ),
    )
    query: str = Field(
        min_length=1,
        max_length=4096,
        description="PromQL that gives one value: the jobs that are not finished. Without a value, or with several, "
        "the size is held.",
    )


class HttpDocument(Question):
    """A number of jobs in a JSON document."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="Address of the document: http://HOST:PORT/PATH?QUERY, or https://. No user or password in it. "
        "Redirects are not followed.",
        json_schema_extra=rules(
            *_HTTP_RULES,
            Rule(
                cel=rf"self.contains('@') || self.matches('^[a-z]+://{HOST}(:{PORT})?([/?][!$-&(-~]*)?$')",
                message="write the url as http://HOST:PORT/PATH with a port from 1 to 65535, in printable ASCII "
                "without quotes or a fragment",
            ),
        ),
    )
    json_path: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^\$(\.[A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,6}\]|\['[^'\]]+'\])*$",
        description="Where in the document the number stands: $.data.queues[0].depth, with ['...'] for names with "
        "other characters; $ is the whole document.",
        json_schema_extra=explained("write it as $.data.queues[0].depth, with ['...'] around other names"),
    )
