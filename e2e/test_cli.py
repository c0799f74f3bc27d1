"""The commands of `wpool` that look, on real pods: each once, and what it tells is so. `e2e.cli.TRIED` has them all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from e2e.cli import Follower, done, wpool
from e2e.scene import Scene, all_at_once, assert_nothing_lost, new_scene
from e2e.support.stack import Stack
from e2e.support.wait import wait_for

POOL = "thumbs"
WORKERS = 2
BAD = "bad-1"
"""Id of a job whose payload no attempt can do anything with."""


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Scene]:
    """A pool with two workers, that has done twenty jobs and given up three."""
    with new_scene(stack) as scene:
        scene.apply(POOL, scaling={"minReplicas": WORKERS, "maxReplicas": 4})
        scene.wait_workers(POOL, WORKERS)
        with scene.feeding(POOL, all_at_once(20)) as feeding:
            assert_nothing_lost(feeding.report(seconds=60), jobs=20)
        for number in (1, 2, 3):
            with scene.broker() as client:
                client.xadd(POOL, {"type": "sleep", "payload": '"no object"', "id": f"bad-{number}"})
        wait_for(lambda: len(scene.dead_letters(POOL)) == 3, seconds=60, what="three dead letters")
        scene.wait_workers(POOL, WORKERS)  # twenty jobs may have taken four for a moment
        yield scene


def here(scene: Scene) -> tuple[str, str]:
    """What names the pool."""
    return POOL, f"--namespace={scene.namespace}"


def test_get_shows_a_line_and_watches(shop: Scene) -> None:
    """As a table and as objects; `--watch` writes a line for each change where there is no terminal."""
    table = done(shop, "get", f"--namespace={shop.namespace}")
    assert re.search(rf"^{POOL} +True +{WORKERS}/{WORKERS} ", table, re.MULTILINE), table
    found = json.loads(done(shop, "get", *here(shop), "--output", "json"))
    assert found["status"]["readyReplicas"] == WORKERS
    assert done(shop, "get", "--output", "name", f"--namespace={shop.namespace}").split() == [
        f"workerpool.workerpool.dev/{POOL}"
    ]
    follower = Follower(shop, "get", *here(shop), "--watch")
    try:
        follower.wait_for(rf"{WORKERS}/{WORKERS}")
        shop.patch(POOL, {"scaling": {"minReplicas": WORKERS + 1}})
        follower.wait_for(rf"{WORKERS + 1}/{WORKERS + 1}")
    finally:
        follower.end()
        shop.patch(POOL, {"scaling": {"minReplicas": WORKERS}})
    shop.wait_workers(POOL, WORKERS)


def test_describe_tells_all_on_one_page(shop: Scene) -> None:
    told = done(shop, "describe", *here(shop))
    for title in ("Asked for:", "Queues:", "Versions:", "Pods:", "Conditions:", "Events:"):
        assert title in told
    assert shop.stack.images.worker in told


def test_explain_tells_why_this_size(shop: Scene) -> None:
    """What limits it, once what came before has lapsed."""
    assert f"{shop.namespace}/{POOL}: " in done(shop, "explain", *here(shop))
    wait_for(lambda: "limited by minReplicas" in done(shop, "explain", *here(shop)), seconds=30, what="what limits it")


def test_events_tell_what_happened(shop: Scene) -> None:
    assert "VersionCreated" in done(shop, "events", *here(shop))
    told = json.loads(done(shop, "events", *here(shop), "--output", "json"))
    assert "VersionCreated" in {one["reason"] for one in told}


def test_top_tells_who_has_work(shop: Scene) -> None:
    """Of all pools, and of one its workers, with the figures that these tell themselves."""

    def of_pools() -> list[list[str]]:
        """Name, depth, jobs in flight and workers of each."""
        header, *lines = done(shop, "top", f"--namespace={shop.namespace}").splitlines()
        assert header.split() == ["POOL", "DEPTH", "OLDEST", "IN", "FLIGHT", "WORKERS", "LIMITED", "BY"]
        return [[row[0], row[1], *row[3:5]] for row in map(str.split, lines)]

    nothing_waits = [[POOL, "0", "0", f"{WORKERS}/{WORKERS}"]]
    wait_for(lambda: of_pools() == nothing_waits, seconds=60, what="a pool whose jobs are done")
    header, *lines = done(shop, "top", *here(shop)).splitlines()
    assert header.split() == ["WORKER", "STATE", "IN", "FLIGHT", "JOBS/MIN", "CPU", "%", "MEMORY", "MiB"]
    rows = {row[0]: row[1:] for row in map(str.split, lines)}
    for pod in shop.workers(POOL).values():
        state, in_flight, per_minute, cpu, memory = rows[pod["metadata"]["name"]]
        assert (state, in_flight, per_minute) == ("Ready", "0", "0")
        assert int(cpu) < 100
        assert int(memory) > 10, "a Python process that runs"


def test_checklist_goes_through_a_pool(shop: Scene) -> None:
    """What is so has its tick, and what is open makes it end with 1, which a pipeline sees."""
    shown = wpool(shop, "checklist", *here(shop), "--output", "json")
    points = {(one["subject"], one["text"]): one["state"] for one in json.loads(shown.stdout)}
    states = {subject: state for (subject, _), state in points.items()}
    assert (states["ready"], states["queues"], states["image"], states["overrides"]) == ("done",) * 4
    assert ("queue main", "lets anybody in who reaches it") in points, "the broker of this test asks for no password"
    assert (states["queue main"], states["handlers"]) == ("open", "ask")
    assert shown.returncode == 1, shown.stderr
    ticked = wpool(shop, "checklist", *here(shop), "--output", "markdown").stdout
    assert "- [x] queues: can be read" in ticked
    assert "- [ ] queue main: lets anybody in who reaches it" in ticked


def test_doctor_looks_at_the_cluster(shop: Scene) -> None:
    """Of this one it is known what is well; and whatever it finds, it says what to do about it."""
    shown = wpool(shop, "doctor", f"--namespace={shop.namespace}", "--json")
    findings = json.loads(shown.stdout)
    assert shown.returncode == int(any(one["level"] == "bad" for one in findings)), shown.stdout
    found = {one["subject"]: one for one in findings}
    for subject in ("Kubernetes", "resource definition", "operator", "operator's rights", "your rights"):
        assert found[subject]["level"] == "good", found[subject]
    assert found["resource definition"]["text"] == "that of this release"
    assert any(subject.startswith("metrics") for subject in found), "told, whatever kinds the cluster knows"
    of_pool = [one["text"] for one in findings if one["subject"].startswith("pool ")]
    assert all(text.startswith("Monitored=") for text in of_pool), "the pool is well, where alerts are not known, too"
    assert [one["subject"] for one in findings if one["level"] != "good" and not one["remedy"]] == []


def test_logs_are_of_all_workers_and_are_chosen(shop: Scene) -> None:
    """By worker, version, job and level; `--follow` goes on."""
    pods = {pod["metadata"]["name"]: pod for pod in shop.workers(POOL).values()}
    lines = [json.loads(line) for line in done(shop, "logs", *here(shop), "--output", "json").splitlines()]
    assert {line["worker"] for line in lines} >= set(pods)
    assert {line["pool"] for line in lines} == {POOL}
    one = next(iter(pods))
    of_one = done(shop, "logs", *here(shop), "--worker", one, "--output", "json").splitlines()
    assert {json.loads(line)["worker"] for line in of_one} == {one}
    version = pods[one]["metadata"]["labels"]["workerpool.dev/version"]
    assert done(shop, "logs", *here(shop), "--version", version, "--tail", "1")
    assert wpool(shop, "logs", *here(shop), "--version", "00000000").returncode == 1
    warned = done(shop, "logs", *here(shop), "--job", BAD, "--output", "json").splitlines()
    assert {json.loads(line)["job_id"] for line in warned} == {BAD}
    assert all(
        json.loads(line)["level"] in {"warning", "error", "critical"}
        for line in done(shop, "logs", *here(shop), "--level", "warning", "--output", "json").splitlines()
    )
    follower = Follower(shop, "logs", *here(shop), "--follow", "--tail", "0", "--output", "json")
    try:
        with shop.broker() as client:
            # Until one is read: there is no telling from outside when it has begun to follow.
            def logged() -> bool:
                client.xadd(POOL, {"type": "sleep", "payload": '"no object"', "id": "followed"})
                return any('"followed"' in line for line in follower.lines)

            wait_for(logged, seconds=60, what="the line of a job that was given up", pause=1)
    finally:
        follower.end()


def test_job_status_finds_a_job(shop: Scene) -> None:
    """A dead letter, a job at work, and one that nobody knows."""
    dead = json.loads(done(shop, "job", "status", POOL, BAD, f"--namespace={shop.namespace}", "--output", "json"))
    assert (dead["state"], dead["type"], dead["attempt"]) == ("dead", "sleep", 1)
    with shop.broker() as client:
        client.xadd(POOL, {"type": "sleep", "payload": '{"seconds": 60}', "id": "long"})

    def running() -> bool:
        shown = wpool(shop, "job", "status", POOL, "long", f"--namespace={shop.namespace}", "--output", "json")
        return shown.returncode == 0 and json.loads(shown.stdout)["state"] == "running"

    wait_for(running, seconds=50, what="the job at work")
    assert wpool(shop, "job", "status", POOL, "nobody", f"--namespace={shop.namespace}").returncode == 1


def test_dead_letters_are_listed_shown_redriven_and_purged(shop: Scene) -> None:
    """By a short Job in the namespace, which is gone afterwards."""
    listed = json.loads(done(shop, "dlq", "list", *here(shop), "--output", "json"))
    assert {BAD, "bad-2", "bad-3"} <= {one["job_id"] for one in listed}
    shown = done(shop, "dlq", "show", POOL, BAD, f"--namespace={shop.namespace}")
    assert "the payload must be an object" in shown
    before = len(shop.dead_letters(POOL))
    done(shop, "dlq", "redrive", *here(shop), "--job", BAD, "--dry-run")
    assert len(shop.dead_letters(POOL)) == before
    done(shop, "dlq", "redrive", *here(shop), "--job", BAD)
    # It can no more be done than before, so it comes back as it was.
    wait_for(lambda: len(shop.dead_letters(POOL)) == before, seconds=60, what="the job given up once more")
    refused = wpool(shop, "dlq", "purge", *here(shop), "--reason", "rejected")
    assert refused.returncode == 2, "nobody could be asked"
    done(shop, "dlq", "purge", *here(shop), "--reason", "rejected", "--yes")
    assert shop.dead_letters(POOL) == []
    assert wpool(shop, "dlq", "list", *here(shop)).returncode == 1
    wait_for(lambda: not shop.kubectl.list("jobs", namespace=shop.namespace), seconds=30, what="no Job left")
