"""From a queue as the resource describes it to what a sampler reads.

`KINDS` is the table of what the collector can reach, by the names of `spec.queues[]`: a new kind is one entry. A queue
whose kind only a newer operator knows is told like a broker that does not answer; the others go on.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from workerpool import broker
from workerpool.errors import ConfigurationError
from workerpool_operator.collector.lists import RedisLists
from workerpool_operator.collector.questions import HttpQuestion, PrometheusQuestion
from workerpool_operator.collector.samplers import TIMEOUT_SECONDS, Observed

Connect = Callable[[Mapping[str, Any], broker.Credentials], Observed]
"""Makes one of the kind's own fields and the files with its credentials, without dialling it."""


def _redis_stream(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return broker.connect(
        fields["url"],
        stream=fields["stream"],
        group=fields["group"],
        credentials=credentials,
        timeout=TIMEOUT_SECONDS,
    )


def _nats_jet_stream(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return broker.connect(
        fields["url"],
        stream=fields["stream"],
        group=fields["consumer"],
        credentials=credentials,
        timeout=TIMEOUT_SECONDS,
    )


def _postgres(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return broker.connect(fields["url"], stream=fields["queue"], credentials=credentials, timeout=TIMEOUT_SECONDS)


def _rabbitmq(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return broker.connect(fields["url"], stream=fields["queue"], credentials=credentials, timeout=TIMEOUT_SECONDS)


def _kafka(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return broker.connect(
        fields["url"],
        stream=fields["topic"],
        group=fields["group"],
        credentials=credentials,
        timeout=TIMEOUT_SECONDS,
    )


def _redis_list(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return RedisLists(
        fields["url"],
        credentials,
        keys=fields["keys"],
        running=fields.get("running") or (),
        timeout=TIMEOUT_SECONDS,
    )


def _prometheus(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return PrometheusQuestion(fields["url"], fields["query"], credentials, timeout=TIMEOUT_SECONDS)


def _http(fields: Mapping[str, Any], credentials: broker.Credentials) -> Observed:
    return HttpQuestion(fields["url"], fields["jsonPath"], credentials, timeout=TIMEOUT_SECONDS)


KINDS: Final[Mapping[str, Connect]] = {
    "redisStream": _redis_stream,
    "natsJetStream": _nats_jet_stream,
    "postgres": _postgres,
    "rabbitmq": _rabbitmq,
    "kafka": _kafka,
    "redisList": _redis_list,
    "prometheus": _prometheus,
    "http": _http,
}


def connect_from(credentials: Path) -> Callable[[str, dict[str, Any]], Observed]:
    """Brokers of queues as the resource describes them, with credentials from files below a directory."""

    def connect(pool: str, queue: dict[str, Any]) -> Observed:
        for kind, make in KINDS.items():
            if queue.get(kind) is not None:
                return make(queue[kind], _credentials(queue, credentials / pool / queue["name"]))
        raise ConfigurationError("a kind of broker that this version of the collector does not know")

    return connect


def _credentials(queue: Mapping[str, Any], folder: Path) -> broker.Credentials:
    named, tls = queue.get("credentials") or {}, queue.get("tls") or {}
    certificate = tls.get("clientCertRef")
    return broker.Credentials(
        username_file=folder / "username" if named.get("username") else None,
        password_file=folder / "password" if named.get("password") else None,
        ca_file=folder / "ca.crt" if tls.get("caRef") else None,
        cert_file=folder / "tls.crt" if certificate else None,
        key_file=folder / "tls.key" if certificate else None,
    )
