"""`wpool rollout`: which version a command is for, what is shown, and a cluster that cannot be asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.main import app
from workerpool_operator.cli.rollout import ask
from workerpool_operator.cli.rollout.state import End, Known, ended, history, lines, meant
from workerpool_operator.domain.rollout.commands import Command, Verb
from workerpool_operator.kube import ClusterAccess


def pool(generation: int = 3, **rollout: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "status": {"observedGeneration": 3, "rollout": rollout}}


def test_a_command_is_for_the_version_that_is_tried() -> None:
    assert meant(pool(stable="a1", wanted="a2", canary="a2")) == "a2"


def test_without_a_canary_a_command_is_for_the_version_that_the_pool_asks_for() -> None:
    assert meant(pool(stable="a1", wanted="a2")) == "a2"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}, "strategy to Canary"),
        ({"metadata": {"generation": 1}}, "strategy to Canary"),
        (pool(generation=4, stable="a1"), "try again in a moment"),
    ],
)
def test_a_command_that_could_hit_another_version_is_not_written(body: dict[str, Any], says: str) -> None:
    with pytest.raises(TroubleError, match=says):
        meant(body)


def test_a_rollout_is_shown_in_lines_without_what_is_unset() -> None:
    shown = lines({"stable": "a1", "canary": "a2", "step": 1, "failures": 0, "ratio": "1.2", "rejected": ["a0", "a3"]})
    assert [" ".join(line.split()) for line in shown] == [
        "stable a1",
        "canary a2",
        "step 1",
        "ratio 1.2",
        "rejected a0, a3",
    ]


def test_an_end_of_an_interval_that_there_is_not_is_not_shown() -> None:
    """`from 0` of a version of which nothing has failed; beside a ratio, and above 0, it says something."""
    assert not [line for line in lines({"canary": "a2", "ratioLow": "0", "jobs": 9}) if line.startswith("from")]
    for said in ({"ratio": "0", "ratioLow": "0"}, {"ratioLow": "2.1"}):
        assert [line for line in lines({"canary": "a2", **said}) if line.startswith("from")]


def test_the_objectives_are_shown_with_what_both_versions_missed() -> None:
    shown = lines({"canary": "a2", "objectives": [{"name": "availability", "allowed": "0.001", "canary": "0.02"}]})
    assert shown[-1].split() == ["availability", "0.02", "miss", "it,", "stable", "-,", "may", "0.001"]


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (pool(stable="a2", wanted="a2"), End.PROMOTED),
        (pool(stable="a1", wanted="a2", rejected=["a2"]), End.REJECTED),
        (pool(stable="a1", wanted="a2", canary="a2"), None),
        (pool(stable="a1", wanted="a2"), None),
        (pool(generation=4, stable="a1", wanted="a1"), None),
        ({"metadata": {"generation": 1}}, None),
    ],
)
def test_a_rollout_has_ended_when_what_is_asked_for_now_is_stable_or_rejected(
    body: dict[str, Any], end: End | None
) -> None:
    assert ended(body) is end


def revision(version: str, created: str, image: str = "web:1") -> dict[str, Any]:
    metadata = {"labels": {"workerpool.dev/version": version}, "creationTimestamp": created}
    return {"metadata": metadata, "data": {"template": {"spec": {"containers": [{"image": image}]}}}}


def test_the_history_names_each_version_once_newest_first_with_what_it_is_now() -> None:
    rollout = {"stable": "a2", "canary": "a3", "rejected": ["a1", "a0"]}
    revisions = [revision("a9", "1"), revision("a2", "2"), revision("a2", "3", "web:2"), revision("a3", "4")]
    revisions += [revision("a1", "0"), {"metadata": {"labels": {"workerpool.dev/version": "a5"}}, "data": {}}]
    assert history(rollout, revisions) == [
        Known(version="a3", role="canary", image="web:1", created="4"),
        Known(version="a2", role="stable", image="web:2", created="3"),
        Known(version="a9", role="before", image="web:1", created="1"),
        Known(version="a1", role="rejected", image="web:1", created="0"),
        Known(version="a5", role="before"),
        Known(version="a0", role="rejected"),
    ]


class Cluster:
    """One that answers as the test says."""

    server = "https://cluster"

    namespace = "media"


@pytest.fixture
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(**_: Any) -> Any:
        return Cluster()

    async def older(_: Any) -> str:
        return ""

    async def operator_runs(*_: Any) -> None:
        return None

    monkeypatch.setattr(ask, "expect_answers", operator_runs)
    monkeypatch.setattr(ClusterAccess, "find", find)
    monkeypatch.setattr(cluster, "older", older)


def answering(monkeypatch: pytest.MonkeyPatch, name: str, answer: Any) -> None:
    async def play(*_: Any, **__: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ask, name, play)


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (End.PROMOTED, 0),
        (End.REJECTED, 4),
        (ask.NotInTimeError("not decided within 1 s"), 5),
        (TroubleError("the pool has no rollout"), 3),
    ],
)
def test_a_pipeline_learns_from_the_exit_code_how_a_rollout_ended(
    monkeypatch: pytest.MonkeyPatch, answer: Any, code: int
) -> None:
    answering(monkeypatch, "wait_for_end", answer)
    shown = CliRunner().invoke(app, ["rollout", "status", "thumbs", "--timeout", "1"])
    assert shown.exit_code == code
    assert (str(answer) in shown.stdout + shown.stderr.replace("\n", " ")) is True


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize(
    ("answer", "code"),
    [({"stable": "a1"}, 0), (ask.RefusedError("no"), 6), (ask.NotInTimeError("late"), 5)],
)
@pytest.mark.parametrize(
    ("words", "verb"), [(["promote"], "promote"), (["promote", "--full"], "promote-full"), (["undo"], "undo")]
)
def test_a_command_that_is_refused_or_not_answered_is_no_success(
    monkeypatch: pytest.MonkeyPatch, words: list[str], verb: str, answer: Any, code: int
) -> None:
    told: list[str] = []

    async def tell(_access: Any, _namespace: str, _name: str, verb: Verb, **_said: Any) -> Command:
        told.append(verb)
        return Command(verb=verb, version="a1", id="7")

    monkeypatch.setattr(ask, "tell", tell)
    answering(monkeypatch, "wait_for_answer", answer)
    assert CliRunner().invoke(app, ["rollout", *words, "thumbs", "--yes"]).exit_code == code
    assert told == [verb]


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize(("body", "code"), [(pool(stable="a1"), 0), ({"metadata": {}}, 1)])
def test_a_pool_without_a_rollout_shows_none(monkeypatch: pytest.MonkeyPatch, body: Any, code: int) -> None:
    async def pool_of(*_: Any) -> Any:
        return body

    monkeypatch.setattr(cluster, "pool_of", pool_of)
    assert CliRunner().invoke(app, ["rollout", "get", "thumbs"]).exit_code == code


@pytest.mark.usefixtures("_cluster")
def test_a_rollout_for_programs_is_what_the_status_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rollout: dict[str, Any] = {"stable": "a1", "canary": "a2", "step": 1, "ratioLow": "0"}

    async def pool_of(*_: Any) -> Any:
        return pool(**rollout)

    monkeypatch.setattr(cluster, "pool_of", pool_of)
    shown = CliRunner().invoke(app, ["rollout", "get", "thumbs", "-o", "json"])
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, rollout)


def test_an_unknown_verb_is_wrong_usage() -> None:
    shown = CliRunner().invoke(app, ["rollout", "destroy", "thumbs"])
    assert shown.exit_code == 2


def test_without_a_cluster_a_sentence_says_so(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["rollout", "get", "thumbs"], env={"KUBECONFIG": str(tmp_path / "none")})
    assert shown.exit_code == 3
    assert "Traceback" not in shown.stderr
