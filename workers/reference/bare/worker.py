"""A worker on the bare contract, without the SDK: what any language needs to do, in one file.

It takes jobs of type `sleep` ({"seconds": 0.1}) from one Redis stream, one per thread, as
docs/reference/worker-contract.md describes: environment in, health on :8080, metrics on :8000, drain on SIGTERM. There
is no fence and there are no live settings: the operator counts such a worker as best effort and looks at its metrics.

What it leaves to workers with the SDK: retries with backoff (a failed job is dead-lettered), delayed jobs, batches.
"""

# ruff: noqa: E402  the signals come before the imports that take time
import os
import signal

# The first process of a container gets no SIGTERM that it does not handle, and kubelet sends it once. Until `main` can
# drain there is nothing to lose.
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: os._exit(0))

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

BLOCK_MS = 1000
SCRAPE_SECONDS = 10.0
MAX_SECONDS = 100.0
AWAY = (redis.ConnectionError, redis.TimeoutError)


def setting(name: str, default: str | None = None) -> str:
    """A variable of the contract; a missing one that must be there ends the program."""
    value = os.environ.get(name) or default
    if value is None:
        sys.exit(f"{name} is missing")
    return value


POOL, VERSION, POD = setting("WORKERPOOL_NAME"), setting("WORKERPOOL_VERSION", ""), setting("WORKERPOOL_POD", "pod")
STREAM = setting("QUEUE_MAIN_STREAM")
GROUP = setting("QUEUE_MAIN_GROUP", STREAM)
SLOTS, DRAIN_SECONDS = int(setting("MAX_WORKERS", "20")), float(setting("DRAIN_TIMEOUT", "60"))
LEASE_MS = round(float(setting("LEASE_SECONDS", "60")) * 1000)
STUCK_SECONDS, HEARTBEAT_SECONDS = float(setting("STUCK_AFTER", "45")), float(setting("HEARTBEAT_INTERVAL", "10"))
MAX_ATTEMPTS = int(setting("MAX_ATTEMPTS", "5"))
# Unique among all processes that ever were.
CONSUMER = f"{POD}-{os.urandom(6).hex()}"
BESIDE = STREAM if "{" in STREAM else "{" + STREAM + "}"

# Owner first: when the lease has expired, the job is someone else's.
ACK = """
local own = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if #own == 0 then return 0 end
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
"""
EXTEND = """
redis.call('HSET', KEYS[2], ARGV[3], redis.call('TIME')[1] .. '000')
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
if pending[1] > 0 then redis.call('XTRIM', KEYS[1], 'MINID', '~', pending[2]) end
for i = 4, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return redis.call('HGETALL', KEYS[2])
"""
BURY = """
local own = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
if #own == 0 or not entry then return 0 end
redis.call('XADD', KEYS[2], '*', 'dead.reason', ARGV[4], 'dead.error', ARGV[5], 'dead.attempts', ARGV[6],
  'dead.version', ARGV[7], 'dead.worker', ARGV[8], 'dead.entry', ARGV[3], unpack(entry[2]))
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
"""


def say(event: str, *, level: str = "info", **more: object) -> None:
    """One JSON object a line, with the keys that workers on the SDK write."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
    about = {"pool": POOL, "version": VERSION, "worker": POD}
    line = {"timestamp": stamp, "level": level, "logger": "worker", "event": event, **about, **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Metrics:
    """The contract's names, with its labels."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.started = self._make(Counter, "jobs_started", "Attempts begun.")
        self.processed = self._make(Counter, "jobs_processed", "Jobs done and acknowledged.")
        self.first = self._make(Counter, "jobs_first_attempts", "Jobs begun for the first time, counted at start.")
        self.first_failed = self._make(Counter, "jobs_first_failures", "First attempts that failed.")
        self.failed = self._make(Counter, "jobs_failed", "Attempts that failed, by reason.", more="reason")
        self.seconds = self._make(Histogram, "job_processing_seconds", "Time in the handler.")
        self.in_progress = self._make(Gauge, "worker_jobs_in_progress", "Jobs taken and not yet settled.")
        self.slots = self._make(Gauge, "worker_slots", "Jobs that this worker runs at a time.")
        self.heartbeat = self._make(Gauge, "worker_heartbeat_unixtime", "When the worker last said that it lives.")
        self.slots.set(SLOTS)
        self.heartbeat.set_to_current_time()

    def _make(self, kind: Any, name: str, text: str, *, more: str = "") -> Any:
        labels = ("pool", "version", "lane", *([more] if more else []))
        metric: Any = kind(name, text, labels, registry=self.registry)
        return metric if more else metric.labels(POOL, VERSION, "io")


class Worker:
    """Takes jobs on one thread, runs each on one of its own, extends their leases on a third kind."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.draining, self.scraped, self.started = threading.Event(), threading.Event(), threading.Event()
        self.last_loop = time.monotonic()
        self._free = threading.Semaphore(SLOTS)
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._lease_ms = LEASE_MS
        self._redis = connect()

    def run(self) -> None:
        """Until SIGTERM, and then until the last job is done or its time is over."""
        self._make_group()
        threading.Thread(target=self._keep_leases, daemon=True).start()
        self.started.set()
        say("ready")
        while not self.draining.is_set():
            self.last_loop = time.monotonic()
            try:
                self._take()
            except AWAY as error:
                say("cannot take jobs", level="warning", error=str(error))
                self.draining.wait(1.0)
        say("draining", in_progress=len(self._running))
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._running and time.monotonic() < deadline:
            self.last_loop = time.monotonic()
            time.sleep(0.05)
        say("drained", left_to_their_leases=len(self._running))

    def _make_group(self) -> None:
        while not self.draining.is_set():
            try:
                self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
            except AWAY:
                self.draining.wait(1.0)
                continue
            return

    def _take(self) -> None:
        """One job: of a worker whose lease expired, or a new one."""
        if not self._free.acquire(timeout=1.0):
            return
        taken = None
        try:
            claimed = self._redis.xautoclaim(STREAM, GROUP, CONSUMER, self._lease_ms, count=1)[1]
            if claimed:
                taken = claimed[0]
            else:
                new = self._redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=1, block=BLOCK_MS)
                taken = new[0][1][0] if new else None
        finally:
            if taken is None:
                self._free.release()
        if taken is not None:
            entry, fields = taken[0].decode(), {name.decode(): value for name, value in taken[1].items()}
            with self._lock:
                self._running.add(entry)
                self.metrics.in_progress.set(len(self._running))
            threading.Thread(target=self._job, args=(entry, fields), daemon=True).start()

    def _job(self, entry: str, fields: dict[str, bytes]) -> None:
        try:
            deliveries = self._redis.xpending_range(STREAM, GROUP, entry, entry, 1)[0]["times_delivered"]
            attempt = int(fields.get("attempt", b"0")) + deliveries
            self._attempt(entry, fields, attempt)
        except (*AWAY, IndexError) as error:  # its lease brings it back
            say("cannot settle", level="warning", entry=entry, error=str(error))
        finally:
            with self._lock:
                self._running.discard(entry)
                self.metrics.in_progress.set(len(self._running))
            self._free.release()

    def _attempt(self, entry: str, fields: dict[str, bytes], attempt: int) -> None:
        if attempt > MAX_ATTEMPTS:
            self._bury(entry, "max_attempts", "its attempts ended with the death of their workers", attempt)
            return
        self.metrics.started.inc()
        if attempt == 1:
            self.metrics.first.inc()
        began = time.perf_counter()
        try:
            handle(fields)
        except Exception as error:  # noqa: BLE001  whatever it is, it is this job's failure
            self.metrics.failed.labels(POOL, VERSION, "io", "error").inc()
            if attempt == 1:
                self.metrics.first_failed.inc()
            self._bury(entry, "rejected", f"{type(error).__name__}: {error}", attempt)
            return
        finally:
            self.metrics.seconds.observe(time.perf_counter() - began)
        if self._redis.eval(ACK, 1, STREAM, GROUP, CONSUMER, entry):
            self.metrics.processed.inc()

    def _bury(self, entry: str, reason: str, error: str, attempt: int) -> None:
        who = (error, attempt, VERSION, POD)
        self._redis.eval(BURY, 2, STREAM, f"{BESIDE}:dead", GROUP, CONSUMER, entry, reason, *who)

    def _keep_leases(self) -> None:
        """Three times per lease; announces it, and learns the longest one that any version of this pool uses."""
        leases = f"{BESIDE}:leases:{GROUP}"
        while True:
            with self._lock:
                running = tuple(self._running)
            try:
                said = self._redis.eval(EXTEND, 2, STREAM, leases, GROUP, CONSUMER, LEASE_MS, *running)
                now = time.time() * 1000
                alive = [int(said[i]) for i in range(0, len(said), 2) if now - int(said[i + 1]) < 2 * int(said[i])]
                self._lease_ms = max([LEASE_MS, *alive])
            except AWAY:
                pass  # the loop that takes says so
            time.sleep(min(HEARTBEAT_SECONDS, LEASE_MS / 3000))
            self.metrics.heartbeat.set_to_current_time()

    def healthy(self) -> bool:
        """The loop turned not long ago. Says nothing of Redis: a call to it ends by its own timeout."""
        return time.monotonic() - self.last_loop < STUCK_SECONDS

    def ready(self) -> bool:
        """Started and not draining."""
        return self.started.is_set() and not self.draining.is_set()


def handle(fields: dict[str, bytes]) -> None:
    """The job itself."""
    if fields.get("type") != b"sleep":
        raise ValueError(f"no handler for type {fields.get('type')!r}")
    seconds = float(json.loads(fields["payload"]).get("seconds", 0.1))
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"seconds must be from 0 to {MAX_SECONDS:g}")
    time.sleep(seconds)


def connect() -> Any:
    """With the credentials that the contract's files hold."""

    def content(suffix: str) -> str | None:
        path = os.environ.get(f"QUEUE_MAIN_{suffix}_FILE")
        return Path(path).read_text().strip() if path else None

    options: dict[str, Any] = {"username": content("USERNAME"), "password": content("PASSWORD")}
    if path := os.environ.get("QUEUE_MAIN_CA_FILE"):
        options["ssl_ca_certs"] = path
    given = {name: value for name, value in options.items() if value}
    return redis.Redis.from_url(setting("QUEUE_MAIN_URL"), socket_timeout=10, **given)


def serve(port: int, pages: dict[str, Callable[[], tuple[int, bytes]]], scraped: threading.Event) -> None:
    """Answer GET on these paths, on a thread of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path.partition("?")[0], lambda: (404, b""))()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if self.path.startswith("/metrics"):
                scraped.set()  # only now: the process may end with it

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main() -> None:
    """Run, drain, stay until the last figures were read."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they double each counter, and nothing asks for them
    worker = Worker()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.draining.set())
    serve(
        int(setting("HEALTH_PORT", "8080")),
        {
            "/healthz": lambda: (200 if worker.healthy() else 503, b""),
            "/ready": lambda: (200 if worker.ready() else 503, b""),
        },
        worker.scraped,
    )
    metrics = {"/metrics": lambda: (200, generate_latest(worker.metrics.registry))}
    serve(int(setting("METRICS_PORT", "8000")), metrics, worker.scraped)
    worker.run()
    worker.scraped.clear()
    worker.scraped.wait(SCRAPE_SECONDS)


if __name__ == "__main__":
    main()
