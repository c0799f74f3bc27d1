"""What the other tests of Kafka stand on: a server of our own that comes up, and comes up again."""

from pathlib import Path

import pytest

from e2e.support import kafka_jars
from e2e.support.kafka_jars import KafkaMissingError
from tests.support.kafka import KafkaServer

pytestmark = [pytest.mark.component, pytest.mark.kafka]


def test_a_server_that_was_killed_comes_up_again_on_its_files(tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka") as server:
        first = server.pid
        server.kill()
        server.start()
        assert server.pid != first


def test_without_java_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KafkaMissingError, match="apt-get install openjdk-17-jre-headless"):
        kafka_jars.ensure()


def test_who_cannot_reach_maven_central_is_told_which_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kafka_jars, "_CENTRAL", "http://127.0.0.1:1/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(KafkaMissingError, match=r"cannot be had, http://127\.0\.0\.1:1/.*\.jar"):
        kafka_jars.ensure()
    assert not list((tmp_path / "workerpool-operator").glob("kafka-*")), "half of it would be taken for all"
