"""What `bench.scale` makes of what it measured: exponents, quantiles, requests, rows and the page."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bench.scale import __main__ as scale
from bench.scale import audit, growth, kept, report
from bench.scale.exposition import Histogram, total
from bench.scale.rows import KEDA, OPERATOR_ALONE, WITH_COLLECTORS, Collector, Cost, Figures, Lag, Rest, rows

UNKNOWN = Lag(p50=None, p99=None)
EXPOSITION = """\
# HELP waited_seconds How long.
waited_seconds_bucket{le="0.1",name="a"} 50.0
waited_seconds_bucket{le="1.0",name="a"} 90.0
waited_seconds_bucket{le="+Inf",name="a"} 100.0
waited_seconds_bucket{name="b",le="+Inf"} 7.0
waited_seconds_count{name="a"} 100.0
requests_total{verb="get"} 3.0
requests_total{verb="apply"} 4.0
requests_total_other 100.0
leader 1.0
"""


def cost(cpu: float, *, requests: int = 0) -> Cost:
    return Cost(seconds=10.0, cpu_seconds=cpu, requests=requests, lag=UNKNOWN)


def figures(objects: int, cpu: float, *, system: str = OPERATOR_ALONE, collector: Collector | None = None) -> Figures:
    return Figures(
        system=system,
        objects=objects,
        namespaces=max(1, objects // 100),
        create=cost(cpu, requests=3 * objects),
        rest=Rest(millicores=40.0, rss_mb=200.0, requests_per_second=1.5, lag=Lag(p50=0.01, p99=0.05)),
        start=cost(cpu),
        start_rss_mb=220.0,
        changes={"update": cost(cpu)},
        collector=collector,
    )


@given(
    power=st.floats(-1, 3),
    factor=st.floats(0.01, 100),
    sizes=st.sets(st.integers(1, 10_000), min_size=2, max_size=6),
)
def test_a_power_law_has_its_exponent(power: float, factor: float, sizes: set[int]) -> None:
    costs = {objects: factor * objects**power for objects in sizes}
    assert growth.exponent(costs) == pytest.approx(power, abs=1e-6)
    assert growth.steepest(costs) == pytest.approx(power, abs=1e-6)


def test_one_size_says_nothing_of_growth() -> None:
    assert growth.exponent({100: 3.0}) is None
    assert growth.exponent({100: 3.0, 1000: 0.0}) is None
    assert growth.steepest({100: 3.0}) is None
    assert growth.worst({"create": {100: 3.0}}) is None


def test_a_fixed_cost_does_not_hide_the_step_that_grows_more_than_linearly() -> None:
    costs = {1: 10.0, 100: 10.0, 1000: 10.0, 2000: 40.0}
    assert growth.exponent(costs) == pytest.approx(0.14, abs=0.1)
    assert growth.steepest(costs) == pytest.approx(2.0)


def test_the_worst_phase_speaks_for_all() -> None:
    assert growth.worst({"create": {1: 1.0, 10: 10.0}, "start": {1: 1.0, 10: 100.0}}) == pytest.approx(2.0)


def test_samples_are_added_up_by_the_whole_name_of_their_metric() -> None:
    assert total(EXPOSITION, "requests_total") == 7.0
    assert total(EXPOSITION, "requests_total", 'verb="apply"') == 4.0
    assert total(EXPOSITION, "leader") == 1.0
    assert total("", "leader") == 0.0


def test_quantiles_lie_within_their_bucket_and_end_at_the_last_finite_bound() -> None:
    waited = Histogram.of(EXPOSITION, "waited_seconds", 'name="a"')
    assert waited.quantile(0.5) == pytest.approx(0.1)
    assert waited.quantile(0.7) == pytest.approx(0.55)
    assert waited.quantile(0.99) == 1.0
    assert Histogram.of("", "waited_seconds").quantile(0.99) is None


def test_series_with_other_labels_are_added_up() -> None:
    assert Histogram.of(EXPOSITION, "waited_seconds").count() == 107.0


def test_only_what_came_since_counts_and_a_new_process_begins_anew() -> None:
    before = Histogram(counts={0.1: 50.0, math.inf: 60.0})
    after = Histogram(counts={0.1: 50.0, 1.0: 60.0, math.inf: 80.0})
    assert after.since(before).counts == {0.1: 0.0, 1.0: 60.0, math.inf: 20.0}
    assert before.since(after) == before


def test_requests_are_counted_by_who_made_them_and_a_half_written_one_is_left_for_later(tmp_path: Path) -> None:
    lines = [json.dumps({"verb": "get", "user": {"username": name}}) for name in ("us", "them", "us")]
    assert audit.by_user(line.encode() for line in lines) == {"us": 2, "them": 1}
    log = tmp_path / "audit.log"
    known = audit.AuditLog(log)
    known._catch_up()
    log.write_text("\n".join(lines))
    known._catch_up()
    assert known._counts == {"us": 1, "them": 1}
    log.write_text("\n".join(lines) + "\n")
    known._catch_up()
    assert known._counts == {"us": 2, "them": 1}


def test_the_audit_policy_logs_the_measured_users_once_a_request_and_nobody_else() -> None:
    said = yaml.safe_load(audit.policy(["us"]))
    assert said["rules"] == [{"level": "Metadata", "users": ["us"]}, {"level": "None"}]
    assert said["omitStages"] == ["RequestReceived", "ResponseStarted"]


def test_collectors_count_as_often_as_there_are_namespaces() -> None:
    each = Collector(start_cpu_seconds=2.0, millicores=3.0, rss_mb=60.0, requests_per_second=0.1)
    alone, together = rows([figures(1000, 10.0, collector=each)])
    assert (alone.system, together.system) == (OPERATOR_ALONE, WITH_COLLECTORS)
    assert (alone.rss_mb, together.rss_mb) == (220.0, 820.0)
    assert (alone.steady_cpu_millicores, together.steady_cpu_millicores) == (40.0, 70.0)
    assert (alone.cold_start_cpu_seconds, together.cold_start_cpu_seconds) == (10.0, 30.0)
    assert (alone.api_requests_per_second, together.api_requests_per_second) == (1.5, 2.5)


def test_the_exponent_is_of_all_sizes_of_a_system_and_of_no_other() -> None:
    measured = [figures(100, 1.0), figures(100, 1.0, system=KEDA), figures(1000, 10.0)]
    assert [row.growth_exponent for row in rows(measured)] == [1.0, None, 1.0]


def test_the_report_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nof before\n{report.END}\nafter\n")
    report.write_into(page, [figures(100, 1.0)])
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n\n| system | objects |")
    assert text.endswith(f"|\n\n{report.END}\nafter\n")
    assert "of before" not in text
    assert f"| {OPERATOR_ALONE} | 100 | create | 10 | 1 | 3 |  |  |" in text
    report.write_into(page, [figures(100, 1.0)])
    assert page.read_text() == text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before")
    with pytest.raises(ValueError, match="once each"):
        report.write_into(page, [figures(100, 1.0)])
    assert page.read_text() == "before"


def test_the_page_of_the_repository_has_the_marks() -> None:
    text = report.PAGE.read_text()
    assert (text.count(report.BEGIN), text.count(report.END)) == (1, 1)


# What is kept


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    file, each = tmp_path / "kept.json", Collector(start_cpu_seconds=1, millicores=2, rss_mb=3, requests_per_second=4)
    measured = [figures(100, 3.0, collector=each), figures(100, 4.0, system=KEDA)]
    assert kept.load(file) == []
    kept.dump(file, measured)
    assert kept.load(file) == measured
    assert kept.has(measured, KEDA, objects=100, namespaces=1)
    assert not kept.has(measured, KEDA, objects=1000, namespaces=10)
    assert not kept.has(measured, OPERATOR_ALONE, objects=100, namespaces=2)


def test_what_was_broken_off_is_measured_again_unless_what_is_missing_is_not_asked_for() -> None:
    known = partial(kept.has, [figures(100, 3.0)], OPERATOR_ALONE, objects=100, namespaces=1)
    assert known(changes=("update",))
    assert not known(changes=("update", "grow"))
    assert known()


def test_where_no_git_is_there_figures_are_of_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert scale._commit() == ""


def test_the_page_says_of_which_commits_its_figures_are() -> None:
    measured = [replace(figures(100, 3.0), commit="abc1"), replace(figures(1000, 4.0, system=KEDA), commit="abc2")]
    assert "workerpool at 100 of abc1; keda at 1,000 of abc2" in report.report(measured)


@pytest.mark.parametrize("text", ["", "{}", '[{"system": "keda"}]'])
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.json").write_text(text)
    with pytest.raises(ValueError, match="validation error"):
        kept.load(tmp_path / "kept.json")
