"""What an end-to-end test does with pools: apply, ask, feed, wait. One namespace with a Redis in it."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from redis import Redis as RedisClient
from redis import RedisError

from e2e.support import pools
from e2e.support import redis as redis_server
from e2e.support.kubectl import Json, Kubectl, condition
from e2e.support.redis import Redis
from e2e.support.stack import Stack, create_namespace
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import Load, Progress, Report, Schedule, Target, burst, run

SOON = 150.0
"""Seconds for what takes a few on a machine with nothing else to do. On others a pod alone needs half a minute to be
ready, a collector comes before the workers that it wakes, and an operator may have to wait for a Lease."""


@dataclass(kw_only=True)
class Scene:
    """One namespace, with a Redis, in which a test makes pools."""

    stack: Stack
    namespace: str
    redis: Redis
    url: str
    """The Redis as seen from this machine."""
    made: set[str] = field(default_factory=set)
    """Pools that the test has made."""

    @property
    def kubectl(self) -> Kubectl:
        """The administrator's."""
        return self.stack.kubectl

    def apply(
        self, name: str, *, image: str = "", redis: str = "", credentials: Json | None = None, **fields: Any
    ) -> None:
        """Make or change a pool of the reference worker, on the stream of its own name."""
        manifest = pools.worker_pool(
            name,
            self.namespace,
            image=image or self.stack.images.worker,
            redis=redis or self.redis.url,
            **{"stream": name, **fields},
        )
        if credentials:
            manifest["spec"]["queues"][0]["credentials"] = credentials
        self.made.add(name)
        self.kubectl.apply(manifest)

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        """Change fields of a pool's spec."""
        patch = json.dumps({"spec": dict(spec)})
        self.kubectl.run(
            "patch", "workerpool", name, "--type=merge", f"--patch={patch}", f"--namespace={self.namespace}"
        )

    def status(self, name: str) -> Json:
        """The pool's status."""
        return pools.status(self.kubectl, self.namespace, name)

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of one of the pool's conditions; empty strings where it is not there."""
        for one in self.status(name).get("conditions", []):
            if one["type"] == kind:
                return one["status"], one["reason"], one.get("message", "")
        return "", "", ""

    def wait_condition(self, name: str, kind: str, *, status: str, reason: str, seconds: float = SOON) -> str:
        """Wait until a condition has this status and reason; give its message."""

        def seen() -> tuple[str, str, str] | None:
            found = self.condition(name, kind)
            return found if found[:2] == (status, reason) else None

        return wait_for(seen, seconds=seconds, what=f"condition {kind} of pool {name} {status} because of {reason}")[2]

    def workers(self, name: str) -> dict[str, Json]:
        """The pool's ready workers: uid -> pod."""
        return {pod["metadata"]["uid"]: pod for pod in pools.ready_pods(self.kubectl, self.namespace, name)}

    def wait_workers(self, name: str, count: int, *, seconds: float = SOON) -> dict[str, Json]:
        """Wait until exactly so many workers are ready, and no others are left that are not being stopped."""

        def settled() -> list[dict[str, Json]]:
            found = [p for p in pools.pods(self.kubectl, self.namespace, name) if not is_stopping(p)]
            ready = {pod["metadata"]["uid"]: pod for pod in found if condition(pod, "Ready") == "True"}
            return [ready] if len(found) == count == len(ready) else []

        (workers,) = wait_for(settled, seconds=seconds, what=f"exactly {count} ready workers in pool {name}")
        return workers

    def told(self, name: str) -> Counter[str]:
        """How often a pool's events have told each reason, repetitions of one event included."""
        counts: Counter[str] = Counter()
        for one in self.kubectl.list("events.events.k8s.io", namespace=self.namespace):
            if one.get("regarding", {}).get("name") == name:
                counts[one["reason"]] += (one.get("series") or {}).get("count", 1)
        return counts

    def events(self, name: str, reason: str) -> int:
        """How often a pool's events have told this reason."""
        return self.told(name)[reason]

    @contextmanager
    def watching(self, name: str) -> Iterator[SizeWatch]:
        """Follow the sizes of the pool's Deployments for as long as the context lasts."""
        watch = SizeWatch()
        columns = "--output=custom-columns=NAME:.metadata.name,SIZE:.spec.replicas"
        with self._following("deployments", name, "--no-headers", columns, read=watch.read):
            wait_for(lambda: watch.history, seconds=SOON, what="the first size in the watch")
            yield watch

    @contextmanager
    def watching_ends(self, name: str, *, of: str = "containerStatuses") -> Iterator[dict[str, Json]]:
        """Follow the pool's pods for as long as the context lasts: pod -> `terminated` of its container, once it is.

        `of`: the field of the pod's status; sidecars are in `initContainerStatuses`.
        """
        ends: dict[str, Json] = {}

        def read(stream: IO[str]) -> None:
            with stream as lines:
                for line in lines:
                    pod, _, terminated = line.partition(" ")
                    if terminated.startswith("{"):
                        ends[pod] = json.loads(terminated)

        fields = f'{{.metadata.name}} {{.status.{of}[*].state.terminated}}{{"\\n"}}'
        with self._following("pods", name, f"--output=jsonpath={fields}", read=read):
            yield ends

    @contextmanager
    def _following(self, kind: str, name: str, *output: str, read: Callable[[IO[str]], None]) -> Iterator[None]:
        """Let a thread read what kubectl tells of the pool's objects, now and at each change."""
        which = (kind, f"--namespace={self.namespace}", f"--selector={pools.POOL_LABEL}={name}")
        process = self.kubectl.start("get", *which, "--watch", *output)
        reader = threading.Thread(target=read, args=(process.stdout,), name=f"{kind} of {name}", daemon=True)
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
            reader.join(timeout=30)

    @contextmanager
    def broker(self) -> Iterator[RedisClient]:
        """A client of the Redis, from this machine."""
        client = RedisClient.from_url(self.url, decode_responses=True, socket_timeout=10)
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            with self.broker() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def put(self, stream: str, kind: str, payload: Mapping[str, Any]) -> None:
        """Put one job, as a producer without the SDK does."""
        with self.broker() as client:
            client.xadd(stream, {"type": kind, "payload": json.dumps(payload)})

    def dead_letters(self, stream: str) -> list[dict[str, str]]:
        """The jobs that were given up, each with the fields that say why."""
        with self.broker() as client:
            entries: Any = client.xrange(f"{{{stream}}}:dead")
        return [fields for _, fields in entries]

    @contextmanager
    def feeding(
        self, name: str, schedule: Schedule, *, seconds: float = 0.1, payload: Mapping[str, Any] | None = None
    ) -> Iterator[Feeding]:
        """Feed the pool's stream with jobs that take `seconds` each, beside the test."""
        job = {"seconds": seconds, "record": True, **(payload or {})}
        # Its node may just have come back: a load does not begin where nobody answers.
        wait_for(self._answers, seconds=SOON, what=f"the Redis of {self.namespace}")
        feeding = Feeding(Load(target=Target(url=self.url, stream=name, payload=job), schedule=schedule))
        try:
            yield feeding
        finally:
            feeding.stop()


class SizeWatch:
    """What the Deployments of a pool asked for, taken together, at each moment."""

    def __init__(self) -> None:
        self.most_wanted = 0
        self.history: list[int] = []
        """All sizes, in the order in which they were asked for."""
        self._sizes: dict[str, int] = {}

    def read(self, stream: IO[str]) -> None:
        """Take in lines of a name and a size until they end."""
        with stream as lines:
            for line in lines:
                name, size = line.split()
                self._sizes[name] = int(size)
                total = sum(self._sizes.values())
                self.history.append(total)
                self.most_wanted = max(self.most_wanted, total)


class Feeding:
    """A load on its way, in a thread of its own."""

    def __init__(self, load: Load) -> None:
        self.progress: Progress | None = None
        self._load = load
        self._future: Future[Report] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    @property
    def done(self) -> int:
        """Jobs done so far."""
        return (self.progress.done or 0) if self.progress else 0

    @property
    def over(self) -> bool:
        """Whether all jobs have left the queue."""
        return self._future.done()

    def wait_done(self, jobs: int, *, seconds: float = SOON) -> None:
        """Wait until so many jobs are done."""
        self._wait(lambda: self.done >= jobs, seconds, f"{jobs} jobs done")

    def wait_running(self, jobs: int, *, seconds: float = SOON) -> None:
        """Wait until so many jobs run at the same time."""
        self._wait(
            lambda: self.progress is not None and self.progress.in_flight >= jobs, seconds, f"{jobs} jobs at work"
        )

    def report(self, *, seconds: float) -> Report:
        """Wait until all jobs are done, and give what became of them."""
        return self._future.result(timeout=seconds)

    def stop(self) -> None:
        """End it early, if it is not over."""
        if self._loop and self._stop and not self._future.done():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=15)

    def _wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        def holds() -> bool:
            if self._future.done():
                self._future.result()  # raises what ended the load
            return condition()

        wait_for(holds, seconds=seconds, what=what)

    def _run(self) -> None:
        try:
            self._future.set_result(asyncio.run(self._feed()))
        except BaseException as error:  # noqa: BLE001  it is raised where the report is asked for
            self._future.set_exception(error)

    async def _feed(self) -> Report:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        return await run(self._load, stop=self._stop, on_progress=self._note)

    def _note(self, progress: Progress) -> None:
        self.progress = progress


@contextmanager
def new_scene(stack: Stack, *, redis_node: str = "") -> Iterator[Scene]:
    """A new namespace with a Redis, on a certain node if that matters.

    At its end nobody waits until it is gone: the next one has another name.
    """
    namespace = f"e2e-{secrets.token_hex(3)}"
    try:
        create_namespace(stack.kubectl, namespace)
        broker = redis_server.deploy(stack.kubectl, namespace, image=stack.images.redis, node=redis_node)
        with broker.forwarded() as url:
            yield Scene(stack=stack, namespace=namespace, redis=broker, url=url)
    finally:
        stack.kubectl.delete("namespace", namespace, wait=False)


def templates(scene: Scene, name: str) -> dict[str, Json]:
    """The pod templates of a pool's Deployments, by the Deployment's name."""
    found = scene.kubectl.list("deployments", namespace=scene.namespace, selector=f"{pools.POOL_LABEL}={name}")
    return {one["metadata"]["name"]: one["spec"]["template"] for one in found}


def is_stopping(pod: Json) -> bool:
    """Whether the pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def restarts(workers: Collection[Json]) -> int:
    """How often the containers of these pods have been restarted, sidecars not counted."""
    return sum(one["restartCount"] for pod in workers for one in pod["status"].get("containerStatuses", []))


def assert_nothing_lost(report: Report, *, jobs: int) -> None:
    """Every job was done, exactly once, and none was cut off."""
    found = (report.jobs_done, report.jobs_lost, report.jobs_dead, report.jobs_interrupted, report.jobs_duplicated)
    assert found == (jobs, 0, 0, 0, 0), report.to_json()


def all_at_once(jobs: int) -> Schedule:
    """So many jobs, now."""
    return burst(jobs=jobs)
