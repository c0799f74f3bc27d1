"""`wpool logs` at a real API server; the kubelet that it asks, and Loki, are played."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.played_loki import PlayedLoki, played_loki
from tests.component.cli.running import of_nobody, started, wpool
from tests.support.kubelet import PlayedKubelet, played_kubelet
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli.logs import command, kept, loki, pods
from workerpool_operator.cli.logs.kept import Sought
from workerpool_operator.cli.logs.lines import Choice
from workerpool_operator.kube import ClusterAccess, Kube

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

HOUR = timedelta(hours=1)


def said(event: str, **fields: Any) -> str:
    """A line as workers on the SDK write it."""
    return json.dumps({"pool": "thumbs", "event": event, "level": "info", **fields})


@pytest.fixture
async def kubelet(plane: ControlPlane, kube: Kube, namespace: str) -> AsyncIterator[PlayedKubelet]:
    """A pool with two workers of two versions that have written a little."""
    await kube.create(pool_body(namespace=namespace))
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        await kubelet.start_pod(namespace, "thumbs-a-1", version="aaaaaaaa")
        await kubelet.start_pod(namespace, "thumbs-b-2", version="bbbbbbbb")
        now = datetime.now(UTC)
        await kubelet.write("thumbs-a-1", "no JSON \x1b[2J at all", at=now - 3 * HOUR)
        await kubelet.write("thumbs-a-1", said("started"), at=now - timedelta(seconds=9))
        await kubelet.write("thumbs-b-2", said("job failed", level="error", job_id="7"), at=now - timedelta(seconds=8))
        await kubelet.write(
            "thumbs-a-1", said("job failed", level="warning", job_id="8"), at=now - timedelta(seconds=7)
        )
        yield kubelet


async def test_all_workers_in_the_order_of_time(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace)
    # In front of them is the time, and at night for the first the day, too.
    assert [" ".join(line[line.index("thumbs-") :].split()) for line in shown.stdout.splitlines()] == [
        "thumbs-a-1 no JSON \\x1b[2J at all",
        "thumbs-a-1 INFO started",
        "thumbs-b-2 ERROR job failed job_id=7",
        "thumbs-a-1 WARNING job failed job_id=8",
    ]


async def test_lines_are_chosen(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    """By version, worker, job, level, age and number."""

    async def events(*words: str) -> list[tuple[str, str]]:
        shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--output", "json", *words)
        lines = [json.loads(line) for line in shown.stdout.splitlines()]
        return [(line["worker"], line.get("job_id", line["event"])) for line in lines]

    assert await events("--version", "bbbbbbbb") == [("thumbs-b-2", "7")]
    assert await events("--worker", "thumbs-a-1", "--tail", "1") == [("thumbs-a-1", "8")]
    assert await events("--job", "8") == [("thumbs-a-1", "8")]
    assert await events("--level", "warning") == [("thumbs-b-2", "7"), ("thumbs-a-1", "8")]
    assert await events("--since", "1h") == [("thumbs-a-1", "started"), ("thumbs-b-2", "7"), ("thumbs-a-1", "8")]
    assert await events("--job", "9") == []


async def test_the_tail_counts_what_is_shown(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    """However many other lines were written since, and also where it is followed."""
    for number in range(150):
        await kubelet.write("thumbs-b-2", said(f"fine {number}"))
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--level", "error")
    assert [line.split()[1:] for line in shown.stdout.splitlines()] == [
        ["thumbs-b-2", "ERROR", "job", "failed", "job_id=7"]
    ]
    last = await wpool(plane, "logs", "thumbs", "-n", namespace, "--level", "warning", "--tail", "1", "-o", "json")
    assert [json.loads(line)["job_id"] for line in last.stdout.splitlines()] == ["7", "8"]
    process = await started(plane, "logs", "thumbs", "-n", namespace, "--follow", "--level", "error")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert b"job_id=7" in await process.stdout.readline()
            await kubelet.write("thumbs-b-2", said("worse", level="error"))
            assert b"worse" in await process.stdout.readline()
    finally:
        process.kill()
        await process.communicate()


async def test_more_lines_than_are_looked_through_or_kept_are_told(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_LOOKED", 2)
    monkeypatch.setattr(pods, "MOST_LOOKED", 2)
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--level", "warning")
    assert [line.split()[1] for line in shown.stdout.splitlines()] == ["thumbs-b-2", "thumbs-a-1"]
    assert "thumbs-a-1: only the last 2 lines were looked through" in shown.stderr
    one = await wpool(plane, "logs", "thumbs", "-n", namespace, "--level", "warning", "--tail", "1")
    assert one.stderr == "", "all that is wanted was found in them"


async def test_every_line_is_json_in_one_schema(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    """Also one that was no JSON."""
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "-o", "json", "--worker", "thumbs-a-1")
    first = json.loads(shown.stdout.splitlines()[0])
    assert datetime.fromisoformat(first.pop("timestamp")) < datetime.now(UTC) - 2 * HOUR
    assert first == {
        "pool": "thumbs",
        "version": "aaaaaaaa",
        "worker": "thumbs-a-1",
        "event": "no JSON \x1b[2J at all",
    }


async def test_none_is_said(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--job", "9")
    assert (shown.returncode, shown.stdout, shown.stderr) == (1, "", "no such lines\n")


async def test_before_a_restart_there_may_be_nothing(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet
) -> None:
    """Which is said as such; of who was restarted the container before is shown."""
    none = await wpool(plane, "logs", "thumbs", "-n", namespace, "--previous")
    assert (none.returncode, none.stdout) == (1, "")
    assert "none of these workers has been restarted" in none.stderr
    await kubelet.crash(namespace, "thumbs-b-2", said("second life"))
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--previous")
    assert [line.split()[1:] for line in shown.stdout.splitlines()] == [
        ["thumbs-b-2", "ERROR", "job", "failed", "job_id=7"]
    ]


async def test_why_there_is_no_log_yet_is_told(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet) -> None:
    """Once, with what can be done about it; also where it is followed."""
    why = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "worker:1"'}
    await kubelet.start_pod(namespace, "thumbs-c-3", version="cccccccc", waiting=why)
    expected = (
        "thumbs-c-3 has no log yet: its image worker:1 cannot be pulled "
        '(ImagePullBackOff: Back-off pulling image "worker:1"). Check its name'
    )
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--version", "cccccccc")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert expected in shown.stderr
    process = await started(plane, "logs", "thumbs", "-n", namespace, "--follow")
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            assert expected.encode() in await process.stderr.readline()
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    "words",
    [
        ["--since", "yesterday"],
        ["--level", "loud"],
        ["--follow", "--previous"],
        ["--worker", ".."],
        ["--loki-label", "a-b"],
    ],
)
async def test_wrong_words_ask_nobody(plane: ControlPlane, words: list[str]) -> None:
    shown = await wpool(plane, "logs", "thumbs", *words, KUBECONFIG="/nowhere")
    assert shown.returncode == 2


async def test_without_rights(plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, tmp_path: Any) -> None:
    shown = await wpool(plane, "logs", "thumbs", kubeconfig=of_nobody(plane, namespace, tmp_path))
    assert shown.returncode == 3
    assert "you may not do this" in shown.stderr


async def test_workers_that_come_and_go_are_followed(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet
) -> None:
    """Who comes is shown from the first line; what was shown does not come again."""
    process = await started(plane, "logs", "thumbs", "-n", namespace, "--follow", "--tail", "1")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            first = {(await process.stdout.readline()).split()[1] for _ in range(2)}
            assert first == {b"thumbs-a-1", b"thumbs-b-2"}
            await kubelet.write("thumbs-a-1", said("goes on"))
            assert b"goes on" in await process.stdout.readline()
            await kubelet.write("thumbs-c-3", said("born"))
            await kubelet.start_pod(namespace, "thumbs-c-3", version="cccccccc")
            assert b"born" in await process.stdout.readline()
            await kubelet.end_pod(namespace, "thumbs-a-1")
            await until(lambda: "thumbs-a-1" not in kubelet.following)
            await kubelet.write("thumbs-b-2", said("still there"))
            assert b"still there" in await process.stdout.readline()
    finally:
        process.kill()
        await process.communicate()


async def test_containers_that_live_for_a_moment_are_followed(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet
) -> None:
    """One that is in a crash loop from the beginning, and one that comes into it: each line once."""
    await kubelet.crash(namespace, "thumbs-a-1", said("died early"))
    process = await started(plane, "logs", "thumbs", "-n", namespace, "--follow", "--worker", "thumbs-a-1")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert b"died early" in await process.stdout.readline()
            await kubelet.crash(namespace, "thumbs-a-1", said("died again"))
            await kubelet.crash(namespace, "thumbs-a-1", said("and again"))
            assert b"died again" in await process.stdout.readline()
            assert b"and again" in await process.stdout.readline()
            await kubelet.write("thumbs-a-1", said("at last"))
            assert b"at last" in await process.stdout.readline()
    finally:
        process.kill()
        await process.communicate()


async def test_more_workers_than_can_be_read_are_told(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "MOST_PODS", 1)
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--tail", "1")
    assert len(shown.stdout.splitlines()) == 1
    assert "only the newest 1 of 2 workers are read" in shown.stderr


async def test_more_workers_than_can_be_followed_are_told(
    access: ClusterAccess, kube: Kube, namespace: str, kubelet: PlayedKubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who waits is followed as soon as another one has gone."""
    monkeypatch.setattr(pods, "MOST_FOLLOWED", 1)
    troubles: list[str] = []
    logs = pods.PodLogs(access, kube, namespace=namespace, pool="thumbs")
    follower = pods.Follower(show=lambda _: None, trouble=troubles.append)
    following = asyncio.create_task(logs.follow(Sought(), follower, chosen=lambda _: True))
    try:
        await until(lambda: len(kubelet.following) == 1 and bool(troubles))
        assert troubles == ["1 more pods are not followed: choose by --version or --worker"]
        [one] = kubelet.following
        await kubelet.end_pod(namespace, one)
        await until(lambda: kubelet.following == {"thumbs-a-1", "thumbs-b-2"} - {one})
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
async def shipped(namespace: str) -> AsyncIterator[PlayedLoki]:
    """A Loki that has lines of a worker that is gone, of one that is there, and of others."""
    async with played_loki() as loki:
        then = datetime.now(UTC) - timedelta(minutes=5)
        for worker, event in (("thumbs-z-9", "last words"), ("thumbs-a-1", "started")):
            loki.has(then, said(event, worker=worker, version="aaaaaaaa", job_id="8"), namespace=namespace)
        loki.has(then, json.dumps({"pool": "mails", "event": "another pool's"}), namespace=namespace)
        loki.has(then, said("another namespace's", worker="x"), namespace="other")
        yield loki


async def test_lines_of_workers_that_are_gone_come_from_loki(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, shipped: PlayedLoki
) -> None:
    """Those of workers that are there come from them, once."""
    shown = await wpool(
        plane, "logs", "thumbs", "-n", namespace, "--job", "8", "--loki", shipped.url, "-o", "json",
        WPOOL_LOKI_TENANT="team-a", WPOOL_LOKI_TOKEN="secret",
    )  # fmt: skip
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(line["worker"], line["event"]) for line in lines] == [
        ("thumbs-z-9", "last words"),
        ("thumbs-a-1", "job failed"),
    ]
    assert [headers["X-Scope-OrgID"] for headers in shipped.headers] == ["team-a"] * 2
    assert shipped.headers[0]["Authorization"] == "Bearer secret"


async def test_the_label_of_the_namespace_is_one_of_two_or_the_one_that_is_named(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, shipped: PlayedLoki
) -> None:
    """Two shippers at once make no line come twice."""
    then = datetime.now(UTC) - timedelta(minutes=4)
    for label in ("k8s_namespace_name", "namespace", "ns"):
        shipped.has(then, said("by several", worker="thumbs-y-8"), **{label: namespace})
    shipped.has(then, said("by one", worker="thumbs-x-7"), ns=namespace)

    async def events(*words: str, label: str = "") -> list[str]:
        words = ("-n", namespace, "--output", "json", "--loki", shipped.url, "--since", "10m", *words)
        shown = await wpool(plane, "logs", "thumbs", *words, WPOOL_LOKI_LABEL=label)
        lines = [json.loads(line) for line in shown.stdout.splitlines()]
        return sorted(line["event"] for line in lines if line["worker"] > "thumbs-x")

    assert await events() == ["by several", "last words"]
    assert await events("--loki-label", "ns") == ["by one", "by several"]
    assert await events(label="ns") == ["by one", "by several"]


async def test_a_worker_whose_node_does_not_answer_is_told_of_by_loki(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, shipped: PlayedLoki
) -> None:
    """It is there, and nothing can be read of it."""
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--loki", shipped.url, "--worker", "thumbs-a-1")
    assert "job failed" in shown.stdout
    kubelet.refusal = "the node is lost"
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--loki", shipped.url, "--worker", "thumbs-a-1")
    assert [line.split()[1:4] for line in shown.stdout.splitlines()] == [["thumbs-a-1", "INFO", "started"]]
    assert "thumbs-a-1: the log cannot be read" in shown.stderr


async def test_more_lines_than_are_read_are_told(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, shipped: PlayedLoki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the newest ones are."""
    monkeypatch.setattr(loki, "MOST", 1)
    monkeypatch.setattr(loki, "PAGE", 1)
    then = datetime.now(UTC) - timedelta(minutes=4)
    shipped.has(then, said("the very last", worker="thumbs-y-8"), namespace=namespace)
    shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--loki", shipped.url)
    assert "the very last" in shown.stdout
    assert "only the newest 1 lines of Loki are read" in shown.stderr


async def test_without_loki_the_others_are_shown(
    plane: ControlPlane, namespace: str, kubelet: PlayedKubelet, shipped: PlayedLoki
) -> None:
    shipped.refusal = "parse error at line 1"
    for address, why in ((shipped.url, "HTTP 400"), ("http://127.0.0.1:9", "cannot be asked"), ("loki", "no address")):
        shown = await wpool(plane, "logs", "thumbs", "-n", namespace, "--tail", "1", WPOOL_LOKI=address)
        assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 2)
        assert why in shown.stderr
        assert "Lines of workers that are gone are missing" in shown.stderr


async def test_many_lines_come_page_by_page(namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a page ends between lines of one moment."""
    monkeypatch.setattr(loki, "PAGE", 3)
    then = datetime.now(UTC) - timedelta(minutes=5)
    async with played_loki() as played:
        for number in range(7):
            at = then + timedelta(seconds=number // 2)
            played.has(at, said(str(number), worker="w"), namespace=namespace)
        asked = loki.Loki(url=played.url)
        wanted = loki.Wanted(namespace=namespace, pool="thumbs", choice=Choice())
        found = await asked.lines(wanted, since=then - HOUR, until=then + HOUR)
    assert [(line.fields or {})["event"] for line in found] == [str(number) for number in range(7)]
