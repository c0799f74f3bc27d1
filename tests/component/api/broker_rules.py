"""What a queue may be in besides Redis, and what is refused of it: field and words."""

from typing import Any, Final

POSTGRES_WORDS = (
    "write the url as postgresql://HOST:PORT/DATABASE with a port from 1 to 65535; the only option is "
    "?sslmode=disable, for a connection that is not encrypted"
)


def nats(**fields: str) -> dict[str, Any]:
    whole = {"url": "nats://nats:4222", "stream": "s", "consumer": "c"} | fields
    return {"queues": [{"name": "main", "natsJetStream": whole}]}


def postgres(address: str, **more: Any) -> dict[str, Any]:
    return {"queues": [{"name": "main", "postgres": {"url": address, "queue": "jobs"}, **more}]}


def prometheus(address: str = "http://prometheus:9090", query: str = "sum(jobs)") -> dict[str, Any]:
    return {"queues": [{"name": "main", "prometheus": {"url": address, "query": query}}]}


def http(address: str = "http://queues/depth", path: str = "$.n") -> dict[str, Any]:
    return {"queues": [{"name": "main", "http": {"url": address, "jsonPath": path}}]}


def lists(address: str = "redis://redis:6379/0", **more: Any) -> dict[str, Any]:
    return {"queues": [{"name": "main", "redisList": {"url": address, "keys": ["celery"], **more}}]}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "a stream of NATS": nats(),
    "a stream of NATS with TLS": {
        "queues": [
            {
                "name": "main",
                "natsJetStream": {"url": "tls://nats", "stream": "s", "consumer": "c"},
                "tls": {"caRef": {"name": "ca"}},
            }
        ]
    },
    "postgres": postgres("postgresql://postgres.media.svc:5432/jobs", tls={"caRef": {"name": "ca"}}),
    "postgres without TLS": postgres("postgresql://[fd00::1]/jobs?sslmode=disable"),
    "lists of a Redis": lists(keys=["celery", "celery\x06\x163"], running=["unacked_index"]),
    "lists of a Redis with TLS": {
        "queues": [lists("rediss://redis")["queues"][0] | {"tls": {"caRef": {"name": "ca"}}}]
    },
    "a query to a Prometheus": prometheus(),
    "a query to a Prometheus behind a path": prometheus("https://mimir.monitoring.svc:8443/prometheus"),
    "a document": http(),
    "a document with a query": http("https://[fd00::1]:8443/a/b?queue=x&y=%20"),
    "a number deep in a document": http(path="$.data.queues[0]['a.b'].n"),
    "a document that is a number": http(path="$"),
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "tls on a plain connection to NATS": (
        {"queues": [nats()["queues"][0] | {"tls": {"caRef": {"name": "ca"}}}]},
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as tls://, or leave tls out",
    ),
    "lists of a Redis at no address of one": (
        lists("redis:6379"),
        "spec.queues[0].redisList.url",
        "the url must start with redis:// or rediss://, such as redis://redis:6379/0",
    ),
    "a list with a space in its name": (
        lists(keys=["my queue"]),
        "spec.queues[0].redisList.keys[0]",
        "write it in printable ASCII without spaces",
    ),
    "tls on a plain connection to lists": (
        {"queues": [lists()["queues"][0] | {"tls": {"caRef": {"name": "ca"}}}]},
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as rediss://, or leave tls out",
    ),
    "postgres url of another kind": (
        postgres("mysql://db/jobs"),
        "spec.queues[0].postgres.url",
        "the url must start with postgresql://, such as postgresql://postgres:5432/jobs",
    ),
    "postgres url with a password": (
        postgres("postgresql://me:hunter2@postgres/jobs"),
        "spec.queues[0].postgres.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "postgres url without a database": (
        postgres("postgresql://postgres:5432"),
        "spec.queues[0].postgres.url",
        POSTGRES_WORDS,
    ),
    "postgres url that encrypts for nobody": (
        postgres("postgresql://postgres/jobs?sslmode=require"),
        "spec.queues[0].postgres.url",
        POSTGRES_WORDS,
    ),
    "postgres tls on a plain connection": (
        postgres("postgresql://postgres/jobs?sslmode=disable", tls={"caRef": {"name": "ca"}}),
        "spec.queues[0]",
        "tls needs an encrypted connection: leave ?sslmode=disable out of the url, or leave tls out",
    ),
    "a stream of NATS with a dot": (
        nats(stream="a.b"),
        "spec.queues[0].natsJetStream.stream",
        "write it in a-z, A-Z, 0-9, '-' and '_'",
    ),
    "a consumer of NATS with a space": (
        nats(consumer="a b"),
        "spec.queues[0].natsJetStream.consumer",
        "write it in a-z, A-Z, 0-9, '-' and '_'",
    ),
    "a NATS url of another kind": (
        nats(url="redis://nats:4222"),
        "spec.queues[0].natsJetStream.url",
        "the url must start with nats:// or tls://, such as nats://nats:4222",
    ),
    "a NATS url with a password": (
        nats(url="nats://user:hunter2@nats:4222"),
        "spec.queues[0].natsJetStream.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "a NATS url with several servers": (
        nats(url="nats://a:4222,nats://b:4222"),
        "spec.queues[0].natsJetStream.url",
        "write the url as nats://HOST:PORT with a port from 1 to 65535 and nothing behind it",
    ),
    "tls on a plain url of NATS": (
        {"queues": [nats()["queues"][0] | {"tls": {"caRef": {"name": "ca"}}}]},
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as tls://, or leave tls out",
    ),
    "tls on a plain url of a document": (
        {"queues": [http()["queues"][0] | {"tls": {"caRef": {"name": "ca"}}}]},
        "spec.queues[0]",
        "tls needs an encrypted connection: write the url as https://, or leave tls out",
    ),
    "a Prometheus at another kind of address": (
        prometheus("file:///etc/passwd"),
        "spec.queues[0].prometheus.url",
        "the url must start with http:// or https://",
    ),
    "a Prometheus with a password": (
        prometheus("http://u:hunter2@prometheus"),
        "spec.queues[0].prometheus.url",
        "leave user and password out of the url: put them into a Secret and name it in credentials",
    ),
    "a Prometheus with options": (
        prometheus("http://prometheus:9090/?query=x"),
        "spec.queues[0].prometheus.url",
        "write the url as http://HOST:PORT with a port from 1 to 65535; only a path may follow",
    ),
    "an empty query": (prometheus(query=""), "spec.queues[0].prometheus.query", "at least 1 chars long"),
    "a document at another kind of address": (
        http("gopher://queues"),
        "spec.queues[0].http.url",
        "the url must start with http:// or https://",
    ),
    "a document with a line break in its address": (
        http("http://queues/a\r\nHost: b"),
        "spec.queues[0].http.url",
        "in printable ASCII without quotes or a fragment",
    ),
    "a document with a fragment": (
        http("http://queues/a#b"),
        "spec.queues[0].http.url",
        "in printable ASCII without quotes or a fragment",
    ),
    "a path that is none": (
        http(path="data.n"),
        "spec.queues[0].http.jsonPath",
        "write it as $.data.queues[0].depth, with ['...'] around other names",
    ),
    "a path with a filter": (
        http(path="$.a[?(@.b)]"),
        "spec.queues[0].http.jsonPath",
        "write it as $.data.queues[0].depth, with ['...'] around other names",
    ),
}
