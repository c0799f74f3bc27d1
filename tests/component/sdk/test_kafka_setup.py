"""Where Kafka cannot be had, the set-up says what is missing; it takes nothing for whole that is not."""

from pathlib import Path

import pytest

from e2e.support import kafka_jars
from e2e.support.kafka_jars import KafkaMissingError

pytestmark = [pytest.mark.component, pytest.mark.kafka]


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
