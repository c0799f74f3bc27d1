"""What the rules of queues accept and refuse, whatever their broker, and of the addresses of Redis."""

from typing import Any

from tests.support.pools import queue
from workerpool_operator.api.brokers import KINDS

TLS_URL: dict[str, Any] = {"redisStream": {"url": "rediss://redis:6379/0", "stream": "s", "group": "g"}}
SECRET = {"secretKeyRef": {"name": "redis", "key": "password"}}


def url(address: str) -> dict[str, Any]:
    return {"queues": [queue(redisStream={"url": address})]}


KIND_WORDS = f"set exactly one kind of broker: {', '.join(KINDS)}"
URL_WORDS = (
    "write the url as redis://HOST:PORT/DB with a port from 1 to 65535, without a path, options or fragment behind it"
)

ACCEPTED: dict[str, dict[str, Any]] = {
    "eight queues": {"queues": [queue(f"q{n}") for n in range(8)]},
    "longest queue name": {"queues": [queue("q" * 32)]},
    "credentials": {"queues": [queue(credentials={"username": SECRET, "password": SECRET})]},
    "tls": {
        "queues": [
            queue(tls={"caRef": {"kind": "ConfigMap", "name": "ca"}, "clientCertRef": {"name": "cert"}}, **TLS_URL)
        ]
    },
    "url without port and database": url("redis://redis.media.svc"),
    "url with an address": url("redis://10.0.0.1:6379"),
    "url with the last port": url("redis://redis:65535"),
    "url with an IPv6 address": url("redis://[fd00::1]:6379/15"),
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # name -> (spec, field, words)
    "Secret with a path for a name": (
        {"queues": [queue(credentials={"password": {"secretKeyRef": {"name": "../x", "key": "k"}}})]},
        "spec.queues[0].credentials.password.secretKeyRef.name",
        "names of objects have only a-z, 0-9, '-' and '.'",
    ),
    "key with a path": (
        {"queues": [queue(credentials={"password": {"secretKeyRef": {"name": "x", "key": "../k"}}})]},
        "spec.queues[0].credentials.password.secretKeyRef.key",
        "should match",
    ),
    "no queue": ({"queues": []}, "spec.queues", "at least 1 items"),
    "nine queues": ({"queues": [queue(f"q{n}") for n in range(9)]}, "spec.queues", "at most 8 items"),
    "queue named twice": ({"queues": [queue(), queue()]}, "spec.queues[1]", "Duplicate value"),
    "queue in capitals": (
        {"queues": [queue("Main")]},
        "spec.queues[0].name",
        "name a queue with a-z, 0-9 and '-', starting and ending with a letter or digit",
    ),
    "queue of no kind": (
        {"queues": [{"name": "main"}]},
        "spec.queues[0]",
        KIND_WORDS,
    ),
    "queue of two kinds": (
        {"queues": [queue(postgres={"url": "postgresql://postgres/jobs", "queue": "q"})]},
        "spec.queues[0]",
        KIND_WORDS,
    ),
    "stream with a space": (
        {"queues": [queue(redisStream={"stream": "a b"})]},
        "spec.queues[0].redisStream.stream",
        "write it in printable ASCII without spaces",
    ),
    "group with a space": (
        {"queues": [queue(redisStream={"group": "a b"})]},
        "spec.queues[0].redisStream.group",
        "write it in printable ASCII without spaces",
    ),
    "url of another kind": (
        url("http://metadata.internal/"),
        "spec.queues[0].redisStream.url",
        "the url must start with redis:// or rediss://, such as redis://redis:6379/0",
    ),
    "url with a password": (
        url("redis://:hunter2@redis:6379/0"),
        "spec.queues[0].redisStream.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "url with options": (
        url("redis://redis:6379/0?ssl_cert_reqs=none"),
        "spec.queues[0].redisStream.url",
        URL_WORDS,
    ),
    "url with a port that is none": (url("redis://redis:65536/0"), "spec.queues[0].redisStream.url", URL_WORDS),
    "url without a host": (url("redis:///0"), "spec.queues[0].redisStream.url", URL_WORDS),
    "url with a variable": (url("redis://$(HOST):6379"), "spec.queues[0].redisStream.url", URL_WORDS),
    "tls on a plain url": (
        {"queues": [queue(tls={"caRef": {"name": "ca"}})]},
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as rediss://, or leave tls out",
    ),
}
