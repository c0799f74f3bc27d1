"""What a real Prometheus, with the chart's monitors, believes of pods that export what is not theirs to say."""

import json
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
import yaml

from e2e.cluster import toolchain
from e2e.monitoring.translate import configuration
from e2e.support.wait import wait_for
from scripts.plain import CHART, NAMESPACE
from tests.support.attacks import attack
from tests.support.prometheus import prometheus_that_scrapes

pytestmark = [pytest.mark.component, pytest.mark.promtool]

VICTIM: Final = 'namespace="other",pool="victim"'
OTHERS: Final = f"""\
workerpool_operator_leader 1
workerpool_operator_reconcile_errors_total 7
workerpool_info{{{VICTIM},mode="hpa"}} 1
workerpool_threshold{{{VICTIM},kind="queueDepth"}} 1e9
workerpool_limited_by{{{VICTIM},limiter="suspended"}} 1
pool:jobs_waiting:sum{{{VICTIM}}} 5
ALERTS:more{{{VICTIM}}} 1
"""
"""Of the operator, and of Prometheus itself."""
COLLECTORS: Final = f"""\
queue_depth{{{VICTIM},queue="main"}} 5
collector_sample_age_seconds{{{VICTIM},queue="main"}} 1
pool_workers_expected{{{VICTIM}}} 9
"""
OWN: Final = f"""\
worker_heartbeat_unixtime{{{VICTIM},version="0123abcd"}} 1
jobs_processed_total{{{VICTIM},lane="io"}} 3
thumbnails_made_total 3
"""
"""Of a worker, and of what runs in it."""
SAYS: Final[Mapping[str, str]] = {
    "worker": OTHERS + COLLECTORS + OWN,
    "collector": OTHERS + COLLECTORS + OWN,
    "flood": OWN + "".join(f'many{{number="{number}"}} 1\n' for number in range(10_001)),
}
"""By pod."""


class Pod(BaseHTTPRequestHandler):
    """Answers /metrics of the pods, each on its own path."""

    def do_GET(self) -> None:
        body = SAYS[self.path.strip("/").removesuffix("/metrics")].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def pods() -> Iterator[str]:
    """Their address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pod) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def monitors() -> list[dict[str, Any]]:
    """The chart's, of pods."""
    command = [toolchain.path(toolchain.HELM), "template", CHART.name, CHART, "--namespace", NAMESPACE]
    shown = subprocess.run(
        [*map(str, command), "--set", "monitoring.enabled=true"], check=True, capture_output=True, text=True
    )
    return [one for one in yaml.safe_load_all(shown.stdout) if one and one["kind"] == "PodMonitor"]


def discovered(pod: str, address: str) -> dict[str, Any]:
    """The pod as Kubernetes tells Prometheus of it."""
    labels = {"app_kubernetes_io_managed_by": "workerpool-operator"}
    labels["app_kubernetes_io_component"] = "collector" if pod == "collector" else "worker"
    if pod != "collector":
        labels["workerpool_dev_pool"] = "thumbs"
    found = {"namespace": "media", "pod_name": pod, "pod_container_port_name": "metrics", "pod_container_name": "x"}
    found |= {f"pod_label_{name}": value for name, value in labels.items()}
    found |= {f"pod_labelpresent_{name}": "true" for name in labels}
    meta = {f"__meta_kubernetes_{name}": value for name, value in found.items()}
    return {"targets": [address], "labels": {**meta, "__metrics_path__": f"/{pod}/metrics"}}


def scraping(address: str) -> dict[str, Any]:
    """What the monitors come to, with these pods in the place of Kubernetes', and sooner.

    They answer from this process, which may stand still for seconds: a scrape that fails would end all series.
    """
    main = configuration(monitors(), selected_by={}, folder="/nowhere").main
    for one in main["scrape_configs"]:
        del one["kubernetes_sd_configs"], one["metrics_path"]
        one |= {"scrape_interval": "10s", "scrape_timeout": "10s"}
        one["static_configs"] = [discovered(pod, address) for pod in SAYS]
    return main


def asked(url: str, expression: str) -> list[dict[str, str]]:
    """The labels of what there is."""
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
        return [one["metric"] for one in json.load(answer)["data"]["result"]]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that has scraped each of them."""
    with pods() as address, prometheus_that_scrapes(scraping(address), tmp_path_factory.mktemp("prometheus")) as url:
        wait_for(lambda: len(asked(url, "up")) == len(SAYS), seconds=60, what="each pod scraped")
        yield url


def names(url: str, pod: str) -> set[str]:
    """What is known of a pod, but for how its scrape went."""
    found = {one["__name__"] for one in asked(url, f'{{pod="{pod}"}}')}
    return {name for name in found if name != "up" and not name.startswith("scrape_")}


@attack(
    "an operator that leads, limits and thresholds of another namespace, told by a worker's metrics",
    stopped_by="the monitors drop what is not a worker's to say; namespace and pool are its pod's",
)
def test_a_worker_tells_of_itself_only(prometheus: str) -> None:
    """What it says of itself, and metrics of its own, are kept; under its pool's name."""
    wait_for(lambda: names(prometheus, "worker"), seconds=60, what="what the worker says")
    assert names(prometheus, "worker") == {"worker_heartbeat_unixtime", "jobs_processed_total", "thumbnails_made_total"}
    [beat] = asked(prometheus, 'worker_heartbeat_unixtime{pod="worker"}')
    assert (beat["namespace"], beat["pool"]) == ("media", "thumbs")
    assert asked(prometheus, '{namespace="other"} or {pod="worker",pool!="thumbs"}') == []


@attack(
    "an operator that leads, and queues of another namespace, told by a pod that poses as a collector",
    stopped_by="the monitors keep what collectors say and nothing else; the namespace is its pod's",
)
def test_a_collector_tells_of_its_namespace_only(prometheus: str) -> None:
    """Of the pools there, what collectors say."""
    wait_for(lambda: names(prometheus, "collector"), seconds=60, what="what the collector says")
    kept = {"queue_depth", "collector_sample_age_seconds", "pool_workers_expected"}
    assert names(prometheus, "collector") == kept
    assert {one["namespace"] for one in asked(prometheus, '{pod="collector"}')} == {"media"}


@attack(
    "so many series of one worker that Prometheus runs out of memory",
    stopped_by="the monitors have a limit of samples",
)
def test_a_worker_that_says_too_much_is_not_heard(prometheus: str) -> None:
    """It counts as one that does not answer."""
    wait_for(lambda: asked(prometheus, 'up{pod="flood"} == 0'), seconds=60, what="that it is refused")
    assert names(prometheus, "flood") == set()
