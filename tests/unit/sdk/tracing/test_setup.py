"""When there are traces, and where they go."""

import os
import subprocess
import sys
import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider

from workerpool.telemetry import tracing
from workerpool.telemetry.tracing.setup import Flusher, exporter_module, resource_of

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("env", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_SERVICE_NAME": "worker"}, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": " True "}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_traces_are_on_where_opentelemetrys_own_variables_say_where_to(env: dict[str, str], on: bool) -> None:  # noqa: FBT001
    assert tracing.wanted(env) is on


@pytest.mark.parametrize("env", [{}, ENDPOINT | {"OTEL_SDK_DISABLED": "true"}])
def test_who_has_no_traces_loads_none_of_it(env: dict[str, str]) -> None:
    code = """
import asyncio, sys
from workerpool import Job, Queue, Worker
queue = Queue.connect("memory://")
worker = Worker(queue, health_port=0, metrics_port=0, env={})
@worker.job("stop")
async def stop(job: Job) -> None:
    worker.stop()
async def main():
    await queue.enqueue("stop")
    await worker.serve()
    await queue.close()
asyncio.run(main())
suspects = ("opentelemetry", "requests", "workerpool.telemetry.tracing.")
print(*[name for name in sys.modules if name.startswith(suspects)])
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env=clean | env).splitlines()[-1]
    assert said == ""


@pytest.mark.parametrize("env", [{}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}])
def test_spans_go_over_http_by_default(env: dict[str, str]) -> None:
    assert exporter_module(env) == "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.mark.parametrize("asked", ["grpc", "http/json"])
def test_a_protocol_whose_exporter_is_not_installed_is_said_by_name(asked: str) -> None:
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": asked}
    with pytest.raises(ImportError) as raised:
        exporter_module(env)
    assert asked.partition("/")[0] in str(raised.value.name)


def test_spans_say_which_worker_of_which_pool_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.version=mine")
    env = {
        "WORKERPOOL_NAME": "resize",
        "WORKERPOOL_NAMESPACE": "shop",
        "WORKERPOOL_VERSION": "abc",
        "WORKERPOOL_POD": "resize-1",
        "WORKERPOOL_NODE": "",
    }
    said = resource_of(env).attributes
    assert (said["service.name"], said["service.namespace"], said["k8s.pod.name"]) == ("resize", "shop", "resize-1")
    assert (said["deployment.environment"], said["service.version"]) == ("prod", "mine")
    assert "k8s.node.name" not in said
    monkeypatch.setenv("OTEL_SERVICE_NAME", "theirs")
    assert resource_of(env).attributes["service.name"] == "theirs"


class Hanging(TracerProvider):
    """Its endpoint does not answer."""

    def __init__(self) -> None:
        super().__init__(shutdown_on_exit=False)
        self.go = threading.Event()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.go.wait(60)


def test_who_flushes_waits_no_longer_than_told() -> None:
    provider = Hanging()
    flusher = Flusher(provider)
    began = time.monotonic()
    assert flusher.flush(0.02) is False
    flusher.at_exit()
    assert time.monotonic() - began < 30
    provider.go.set()
    assert flusher.flush(30) is True
