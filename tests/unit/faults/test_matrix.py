"""The fault matrix: what trials come to, what is kept of them, and what the page says."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from e2e.faults.matrix import __main__ as command
from e2e.faults.matrix.catalogue import catalogue
from e2e.faults.matrix.drift import Aftermath
from e2e.faults.matrix.ground import Ground
from e2e.faults.matrix.leaders import intruders
from e2e.faults.matrix.report import BEGIN, END, PAGE, report, write_into
from e2e.faults.matrix.rows import Row, Trial, Verdict, quantile
from e2e.faults.matrix.strange import resources

HELD = Trial(name="a", injected=2, converged_seconds=1.0, api_calls=10)
COLUMNS = (
    "fault runs faults_injected failures_found converge_p50_seconds converge_p99_seconds converge_max_seconds "
    "jobs_lost jobs_duplicated orphans needless_restarts api_calls write_points_total write_points_covered verdict"
)


def test_trials_add_up_to_a_row() -> None:
    """Times by nearest rank; what does not apply is not zero, but nothing."""
    trials = [replace(HELD, converged_seconds=seconds) for seconds in (3.0, 1.0, 2.0)]
    row = Row.of("F2", [*trials, replace(HELD, converged_seconds=None, orphans=1, needless_restarts=2)])
    assert " ".join(row.dump()) == COLUMNS
    assert list(row.dump().values()) == ["F2", 4, 8, 0, 2.0, 3.0, 3.0, None, None, 1, 2, 40, None, None, "holds"]


def test_one_broken_trial_breaks_the_row() -> None:
    row = Row.of("F2", [HELD, replace(HELD, broken=("another end state",))], points=(9, 8))
    assert (row.failures_found, row.verdict) == (1, Verdict.BROKEN)
    assert (row.write_points_total, row.write_points_covered) == (9, 8)


def test_jobs_count_where_there_were_some() -> None:
    row = Row.of("F5", [HELD, replace(HELD, jobs_lost=0, jobs_duplicated=3), replace(HELD, jobs_duplicated=1)])
    assert (row.jobs_lost, row.jobs_duplicated) == (0, 4)


def test_a_fault_that_was_not_tried_has_no_row() -> None:
    with pytest.raises(ValueError, match="F7 was not tried"):
        Row.of("F7", [])


@pytest.mark.parametrize(
    ("values", "share", "found"), [([], 0.5, None), ([4.0], 0.99, 4.0), ([1.0, 2.0], 0.5, 1.0), ([2.0, 1.0], 1.0, 2.0)]
)
def test_a_quantile_is_one_of_the_values(values: list[float], share: float, found: float | None) -> None:
    assert quantile(values, share) == found


def test_a_row_comes_back_from_json_as_it_was() -> None:
    """And nothing else passes for one."""
    row = Row.of("F2", [HELD])
    assert Row.load(json.loads(json.dumps(row.dump()))) == row
    with pytest.raises(ValueError, match="no row"):
        Row.load({"fault": "F2"})


@dataclass(frozen=True, kw_only=True)
class Played:
    """A fault that gives these trials, and then perhaps breaks off."""

    number: str
    given: tuple[Trial, ...] = (HELD,)
    error: str = ""
    what: str = "Played."
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        for trial in self.given:
            yield trial
        if self.error:
            raise RuntimeError(self.error)


def run(monkeypatch: pytest.MonkeyPatch, *faults: Played, arguments: list[str]) -> int:
    monkeypatch.setattr(command, "catalogue", lambda: {fault.number: fault for fault in faults})
    monkeypatch.setattr(command, "end_at_sigterm", lambda: None)
    return command.main(arguments)


def kept(file: Path) -> dict[str, Any]:
    return {row["fault"]: row["verdict"] for row in json.loads(file.read_text())}


def test_rows_stay_when_another_fault_breaks_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that was not tried to its end has no row, not even the one of an earlier time; the others have their turn."""
    file = tmp_path / "faults.json"
    bad = replace(HELD, broken=("no",))
    assert run(monkeypatch, Played(number="F2"), Played(number="F3"), arguments=[f"--json={file}"]) == 0
    faults = Played(number="F2", error="the machine"), Played(number="F3", given=(bad,)), Played(number="F4")
    assert run(monkeypatch, *faults, arguments=[f"--json={file}"]) == 1
    assert kept(file) == {"F3": "broken", "F4": "holds"}


def test_a_suite_goes_on_where_it_was_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also single faults can be tried anew; and a short form proves nothing."""
    file = tmp_path / "faults.json"
    assert run(monkeypatch, Played(number="F10"), arguments=[f"--json={file}"]) == 0
    unwanted, wanted = Played(number="F10", error="not again"), Played(number="F9")
    assert run(monkeypatch, unwanted, wanted, arguments=[f"--json={file}", "--resume"]) == 0
    assert run(monkeypatch, unwanted, wanted, arguments=[f"--json={file}", "--only", "F9"]) == 0
    assert list(kept(file)) == ["F9", "F10"]
    assert run(monkeypatch, Played(number="F9"), arguments=[f"--json={file}", "--short"]) == 0
    assert list(kept(file)) == ["F10"]


def test_faults_of_real_pods_wait_until_they_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, pods = tmp_path / "faults.json", Played(number="F10", pods=True)
    assert run(monkeypatch, pods, Played(number="F2"), arguments=[f"--json={file}"]) == 0
    assert list(kept(file)) == ["F2"]
    assert run(monkeypatch, pods, Played(number="F2"), arguments=[f"--json={file}", "--pods"]) == 0
    assert list(kept(file)) == ["F2", "F10"]


def test_the_report_shows_what_was_tried_and_names_what_was_not() -> None:
    faults = {"F1": Played(number="F1"), "F2": Played(number="F2"), "F3": Played(number="F3")}
    text = report({"F2": Row.of("F2", [HELD]), "F1": Row.of("F1", [HELD], points=(1234, 1234))}, faults)
    header, _, first, second, *rest = text.splitlines()
    assert header.count("|") == first.count("|") == second.count("|") == 14
    assert first.startswith("| F1 | 1 | 2 | 0 | 1.0 |")
    assert second.endswith("| 10 | holds |")
    assert "- **F1**: Played. 1234 of 1234 write points." in rest
    assert rest[-1] == "Not in the table, because not tried by this suite to the end: F3."


def test_the_report_goes_between_the_marks(tmp_path: Path) -> None:
    """What people wrote around it stays; without the marks nothing is written."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nformer\n{END}\nafter\n")
    write_into(page, {"F2": Row.of("F2", [HELD])}, {"F2": Played(number="F2")})
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n| fault |")
    assert text.endswith(f"holds |\n\n- **F2**: Played.\n\n{END}\nafter\n")
    assert "former" not in text
    page.write_text("nothing")
    with pytest.raises(ValueError, match="needs the lines"):
        write_into(page, {}, {})


def test_the_page_has_the_marks_once() -> None:
    text = PAGE.read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)


def test_the_catalogue_has_every_fault() -> None:
    assert list(catalogue()) == [f"F{number}" for number in range(1, 14)]


def written(at: str, who: str, what: str = "deployments", **more: Any) -> dict[str, Any]:
    return {
        "requestReceivedTimestamp": at,
        "verb": "patch",
        "user": {"username": who},
        "objectRef": {"resource": what, "namespace": "n", "name": "d"},
        "responseStatus": {"code": 200},
        **more,
    }


def test_who_writes_without_the_lease_is_found_in_the_audit_log(tmp_path: Path) -> None:
    """In the order of the requests; reads, refused writes, and those of others do not count."""
    log = tmp_path / "audit.log"
    events = [
        written("03", "operator-b", "leases"),
        written("04", "operator-b"),
        written("01", "operator-a", "leases"),
        written("02", "operator-a"),
        written("05", "operator-a", "events"),
        written("06", "operator-a", responseStatus={"code": 409}),
        written("07", "operator-a", verb="list"),
        written("08", "admin"),
    ]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert intruders(log) == []
    log.write_text(log.read_text() + json.dumps(written("09", "operator-a")) + "\n")
    assert intruders(log) == ["operator-a wrote deployments n/d while operator-b held the Lease"]


def test_a_drift_is_over_when_all_has_been_as_before_it_for_a_while() -> None:
    """Its time is from the drift to the first look that saw all back; one that did not begins it anew."""
    after = Aftermath(began=100.0)
    assert not after.looked(["bad"], same=False, writes=[], now=100.1)
    assert not after.looked(["good"], same=True, writes=[103.0], now=103.1)
    assert not after.looked(["bad"], same=False, writes=[103.0], now=104.3)
    assert not after.looked(["good"], same=True, writes=[103.0, 105.0], now=105.2)
    assert after.looked(["good"], same=True, writes=[103.0, 105.0], now=106.3)
    assert after.converged == pytest.approx(5.2)
    assert after.late(5.0) == []
    assert after.late(4.0) == ["put back after 5.0 s, not within 4 s"]


def test_a_drift_that_nobody_has_put_back_was_none() -> None:
    """All as before without a write of the operator: then the fault did not strike, or somebody else mended it."""
    after = Aftermath(began=100.0)
    assert not after.looked(["good"], same=True, writes=[], now=100.1)
    assert after.looked(["good"], same=True, writes=[], now=101.2)
    assert after.late(5.0) == ["all is as it was, and the operator has written nothing"]


def test_strange_resources_are_the_same_each_time() -> None:
    """So that a failure can be looked at again."""
    drawn = resources(8)
    assert drawn == resources(8)
    assert len({json.dumps(one, sort_keys=True) for one in drawn}) > 4
    assert resources(8, first=2) != drawn
