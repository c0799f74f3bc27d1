"""What a profile found: a table for people, JSON, a row for each run as CSV, and a sheet of objectives (SLO)."""

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from workerpool.runtime.lanes import Kind
from workerpool_operator.cli import sizing
from workerpool_operator.cli.profile.classify import Nature, classify
from workerpool_operator.cli.profile.run import Measured
from workerpool_operator.cli.quantiles import Quantiles

_ROOM: Final = 2.0
"""Objectives leave so much room over what was measured on a machine that did nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The verdict, and what it is from."""

    measured: Measured
    nature: Nature
    cores: float
    rate: float | None
    """Jobs per second that the pool is to bear."""
    walls: Quantiles

    @classmethod
    def of(cls, measured: Measured, *, cores: float, rate: float | None) -> "Profile":
        """At least one run must have been good."""
        good = measured.good
        return cls(
            measured=measured,
            nature=classify(good, is_async=measured.is_async),
            cores=cores,
            rate=rate,
            walls=Quantiles.of([each.wall - (each.starved or 0.0) for each in good]),
        )

    @property
    def workers(self) -> float | None:
        """λW, for the rate that was asked for."""
        return None if self.rate is None else sizing.in_work(rate=self.rate, seconds=self.nature.seconds)

    @property
    def threads(self) -> float | None:
        """Jobs at a time that keep the cores busy; None: it computes nothing, so the cores do not tell."""
        nature = self.nature
        if nature.service <= 0:
            return None
        return sizing.threads(cores=self.cores, wait=nature.wait, service=nature.service)

    def to_json(self) -> dict[str, Any]:
        """A flat object, and the runs; null is "not measured"."""
        nature, measured = self.nature, self.measured
        return {
            "program": measured.order.program,
            "type": measured.order.type,
            "runs": len(measured.samples),
            "failed": len(measured.samples) - len(measured.good),
            "verdict": nature.bound.value,
            "kind": nature.kind.value,
            "reason": nature.reason,
            "blocks_event_loop": nature.blocks,
            "wait_seconds": round(nature.wait, 6),
            "service_seconds": round(nature.service, 6),
            "cpu_share": round(nature.share, 4),
            "starved_seconds": _rounded(self._median("starved")),
            "held_seconds": _rounded(self._median("held")),
            "iowait_share": _rounded(self._median("iowait")),
            "sent_bytes": self._median("sent"),
            "received_bytes": self._median("received"),
            "pickle_seconds": round(measured.pickle_seconds, 9),
            "pickle_bytes": measured.pickle_bytes,
            "p50_seconds": _rounded(self.walls.p50),
            "p95_seconds": _rounded(self.walls.p95),
            "p99_seconds": _rounded(self.walls.p99),
            "cores": self.cores,
            "rate_per_second": self.rate,
            "workers": _rounded(self.workers),
            "threads": _rounded(self.threads),
            "samples": [_row(number, each) for number, each in enumerate(measured.samples, start=1)],
        }

    def to_csv(self) -> str:
        """A row for each run."""
        text = io.StringIO()
        rows = self.to_json()["samples"]
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def table(self) -> Table:
        """For people."""
        order = self.measured.order
        title = f"{order.program} {order.type}: {self.nature.bound}"
        table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for name, text in self._rows():
            table.add_row(name, text)
        return table

    def _rows(self) -> Iterator[tuple[str, str]]:
        nature, measured = self.nature, self.measured
        failed = len(measured.samples) - len(measured.good)
        yield "runs", f"{len(measured.samples)}" + (f", {failed} failed and are left out" if failed else "")
        yield "verdict", f"{nature.bound}: {100 * nature.share:.0f} % of its own time is computing"
        yield "wait", f"{_ms(nature.wait)} (network, disk, locks, sleep)"
        yield "service", f"{_ms(nature.service)} of CPU time, its threads and processes included"
        starved = self._median("starved")
        yield "starved", "this machine does not tell" if starved is None else f"{_ms(starved)} (no core was free)"
        if nature.blocks is not None:
            held = self._median("held") or 0.0
            yield (
                "event loop",
                f"held for {_ms(held)} at a time: " + ("blocks it" if nature.blocks else "does not block it"),
            )
        iowait = self._median("iowait")
        yield "iowait", "not told" if iowait is None else f"{100 * iowait:.1f} % of the whole machine's time"
        yield "network", f"{self._median('sent'):.0f} bytes out, {self._median('received'):.0f} in (Python's sockets)"
        yield "pickling", f"{measured.pickle_seconds * 1e6:.0f} us, {measured.pickle_bytes} bytes, for another process"
        yield "kind", f'kind="{nature.kind}": {nature.reason}'
        if nature.kind is Kind.CPU and measured.refused:
            yield "", f"as it is it cannot run there: {measured.refused}"
        if self.workers is not None:
            yield "workers", f"{self.rate:g}/s x {nature.seconds:.4g} s = {self.workers:.3g} (rate x job time)"
        yield "slots", self._slots_text()

    def _slots_text(self) -> str:
        if self.threads is None:
            return "it computes nothing: what it calls decides (`wpool sweep`)"
        nature = self.nature
        ratio = f"{nature.wait * 1000:.3g} / {nature.service * 1000:.3g}"
        found = f"{self.cores:g} cores x (1 + {ratio}) = {self.threads:.3g}"
        return found + "; a start: `wpool sweep` finds the knee"

    def _median(self, name: str) -> float | None:
        values = [getattr(each, name) for each in self.measured.good]
        known = [each for each in values if each is not None]
        return statistics.median(known) if known else None


def slo_sheet(profile: Profile, *, availability: float) -> str:
    """A sheet of objectives in Markdown, to be signed by people: measured figures, and a proposal with room.

    Args:
        profile: What was measured.
        availability: Share of jobs that are to succeed, for example 0.999.
    """
    order, nature, walls = profile.measured.order, profile.nature, profile.walls
    rate = "to be filled in" if profile.rate is None else f"{profile.rate:g} jobs/s"
    workers = "to be filled in" if profile.workers is None else f"{max(1, sizing.whole(profile.workers))} slots busy"
    latencies = "\n".join(
        f"| job time {name} | {value * 1000:.1f} ms | at most {_proposed(value) * 1000:g} ms |"
        for name, value in (("p50", walls.p50), ("p95", walls.p95), ("p99", walls.p99))
        if value is not None
    )
    timeout = _proposed(walls.p99 or 0.0)
    threads = "what it calls decides" if profile.threads is None else f"{profile.threads:.3g}"
    share = f"{100 * availability:g} %"
    return f"""# Objectives of `{order.type}`

Measured: {len(profile.measured.good)} runs of `{order.program}`, one after the other, on {profile.cores:g} cores. Job \
times are without the time in which no core was free.

| What | Measured | Objective |
|---|---|---|
| throughput | | {rate} |
{latencies}
| availability | {len(profile.measured.good)} of {len(profile.measured.samples)} runs | {share} of jobs succeed |

| Classification | |
|---|---|
| verdict | {nature.bound} ({100 * nature.share:.0f} % computing) |
| wait, service | {nature.wait * 1000:.1f} ms, {nature.service * 1000:.1f} ms |
| kind | `{nature.kind}`: {nature.reason} |
| workers (rate x job time) | {workers} |
| slots of a pod (cores x (1 + wait / service)) | {threads} |
| timeout of a job | {timeout:g} s, twice p99 |

p99 of few runs is their maximum: measure it again under load (`wpool load`) before you promise it.
"""


def _proposed(seconds: float) -> float:
    """With room, and rounded up to two digits."""
    wanted = seconds * _ROOM
    if wanted <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return round(math.ceil(wanted / unit) * unit, 9)


def _row(number: int, sample: Any) -> dict[str, Any]:
    figures = {"run": number, **dataclasses.asdict(sample), "wait": sample.wait, "cpu_share": sample.share}
    names = {"wall": "wall_s", "cpu": "service_s", "starved": "starved_s", "held": "held_s", "wait": "wait_s"}
    names |= {"sent": "sent_bytes", "received": "received_bytes", "iowait": "iowait_share"}
    return {names.get(name, name): _rounded(value) for name, value in figures.items()}


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"
