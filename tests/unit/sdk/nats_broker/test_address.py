"""Addresses and names of queues in NATS."""

import sys

import pytest

from workerpool import broker
from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.names import Names
from workerpool.errors import ConfigurationError


def test_an_address_has_what_the_url_says() -> None:
    assert NatsAddress.parse("nats://nats") == NatsAddress("nats")
    assert NatsAddress.parse("tls://nats.ns.svc:4443/") == NatsAddress("nats.ns.svc", 4443, tls=True)
    assert NatsAddress.parse("nats://u:p%40@[::1]:1") == NatsAddress("::1", 1, username="u", password="p@")


@pytest.mark.parametrize("url", ["nats://", "nats://h:x", "http://h", "nats://h/path", "nats://h?x=1"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like nats://host:4222") as refused:
        NatsAddress.parse(url.replace("://h", "://u:secret@h"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a*", "a>", "ä", "a/b"])
def test_a_stream_has_a_name_that_subjects_and_buckets_can_hold(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a stream"):
        broker.connect("nats://h", stream=name, group="g")
    with pytest.raises(ConfigurationError, match="name of a consumer"):
        Names("s", name)


def test_without_its_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("nats", "workerpool.broker._nats"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nats", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'workerpool\[nats\]'"):
        broker.connect("nats://h", stream="s")
