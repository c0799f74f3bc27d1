"""The command `wpool load`: options in, exit code out."""

import asyncio
import contextlib
import json
import math
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool.broker import BrokerError
from workerpool.errors import ConfigurationError
from workerpool_operator.cli import cluster
from workerpool_operator.cli.load import schedule as schedules
from workerpool_operator.cli.load.place import names_in
from workerpool_operator.cli.load.report import End, Report
from workerpool_operator.cli.load.run import DEFAULT_TYPE, Load, Target, run
from workerpool_operator.cli.load.view import LoadView
from workerpool_operator.cli.load.workers import Addresses, Pods
from workerpool_operator.cli.terminal import Console

if TYPE_CHECKING:
    from workerpool_operator.cli.pool_watch import PoolWatch

MAX_RATE: Final = 100_000.0

HELP: Final = """Feed a queue on schedule, and measure what became of the jobs.

Jobs are sent when they are due, whether or not the earlier ones are done; how late the feeder itself was is part of
the report. It waits until all jobs are done, then reports job wait (p50, p95, p99; for each burst and each part of a
peak, too), reaction time, throughput, jobs lost, done twice and interrupted. Ctrl-C ends it early and reports what was
measured.

The queue may be on any broker that workers can use, but for `memory://`. The job type `sleep` of the reference worker
`io` tells when each job starts and ends: in Redis in a stream beside the queue, elsewhere in a queue `STREAM-results`
(in Kafka that topic has to be there). Of any other type the workers' metrics tell, where they can be asked: those of
the pods of --pool (with the right to `get` pods/proxy), or at --metrics. Else only the depth of the queue and the dead
letters are watched, and figures of jobs are "not measured". The report says which it was, and how exact.

Exit codes: 0 all done; 1 jobs were lost or dead-lettered; 2 wrong usage; 3 the broker or the cluster cannot be
reached; 4 jobs were left when patience ended; 130 stopped by Ctrl-C.
"""

EPILOG: Final = """**Examples**

    wpool load --url redis://127.0.0.1:6379/0 --stream thumbs --jobs 500

    wpool load --url redis://127.0.0.1:6379/0 --stream thumbs --rate 50 --duration 60 --job-seconds 0.2

    wpool load --url redis://127.0.0.1:6379/0 --stream thumbs --rate 20 --duration 120 --pattern burst --every 15 \\
        --pool thumbnails --namespace media --json load.json

    wpool load --url redis://127.0.0.1:6379/0 --stream thumbs --rate 20 --duration 180 --pattern peak2x

    wpool load --url redis://127.0.0.1:6379/0 --stream thumbs --jobs 100 --type resize --payload '{"width": 200}' \\
        --metrics http://127.0.0.1:8000/metrics

    wpool load --url postgresql://app@127.0.0.1/app?sslmode=disable --queue thumbs --rate 50 --duration 60

    wpool load --url amqp://127.0.0.1 --queue thumbs --rate 50 --duration 60

    wpool load --url nats://127.0.0.1 --stream thumbs --rate 50 --duration 60

    wpool load --url kafka://127.0.0.1 --topic thumbs --group thumbs --rate 50 --duration 60

    wpool load --url sqlite:///jobs.db --jobs 500

For a broker inside of a cluster, first: `kubectl port-forward --namespace media service/redis 6379`
"""


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    """All jobs were done."""
    JOBS_FAILED = 1
    """Jobs were lost or dead-lettered."""
    USAGE = 2
    """Options that make no sense."""
    UNREACHABLE = 3
    """The broker, or the cluster, cannot be reached or refuses."""
    TIMED_OUT = 4
    """Jobs were left in the queue when patience ended."""
    STOPPED = 130
    """Ctrl-C."""


class NoPoolError(Exception):
    """The pool that should be watched is not there, or its cluster does not answer."""


class Pattern(StrEnum):
    """How jobs are spread over time."""

    STEADY = "steady"
    """Evenly, at the rate."""
    BURST = "burst"
    """In bursts, which make up the rate on average."""
    RAMP = "ramp"
    """From nothing to the rate, in a straight line."""
    PEAK2X = "peak2x"
    """At the rate, at twice the rate, and at the rate again, for a third of the time each."""


def load(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    url: Annotated[
        str,
        typer.Option(
            help="Where the broker is, as workers are told it: redis://[user:password@]host:port/db, nats://, "
            "postgresql://, amqp://, kafka:// or sqlite:///path.",
            envvar="WPOOL_URL",
            show_envvar=True,
        ),
    ],
    stream: Annotated[
        str,
        typer.Option(
            "--stream",
            "--queue",
            "--topic",
            help="What names the queue there; nothing in SQLite. By default that of --pool, with its group.",
            show_default=False,
        ),
    ] = "",
    group: Annotated[
        str, typer.Option(help="Consumer group of workers (Redis, NATS, Kafka); the stream's name by default.")
    ] = "",
    jobs: Annotated[
        int | None, typer.Option(min=1, max=schedules.MAX_JOBS, help="Jobs to send; without --rate all at once.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, max=MAX_RATE, help="Jobs per second.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.1, max=86_400.0, help="Seconds of sending.")] = None,
    pattern: Annotated[Pattern, typer.Option(help="How jobs are spread over time.")] = Pattern.STEADY,
    every: Annotated[float, typer.Option(min=0.1, max=3600.0, help="Of bursts: seconds from one to the next.")] = 10.0,
    job_type: Annotated[str, typer.Option("--type", help="Job type.")] = DEFAULT_TYPE,
    payload: Annotated[str, typer.Option(help="Payload, a JSON object.")] = "{}",
    job_seconds: Annotated[float, typer.Option(min=0.0, max=3600.0, help="Of type sleep: how long a job takes.")] = 0.1,
    pool: Annotated[str, typer.Option(help="WorkerPool to watch, for the reaction of its size.")] = "",
    namespace: cluster.Namespace = None,
    context: cluster.Context = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            help="Of other types than sleep: address of a worker's metrics, such as http://127.0.0.1:8000/metrics; "
            "repeatable. With --pool its pods are asked.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="Seconds to wait for the last jobs.")] = 600.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    console, errors = Console(), Console(stderr=True)
    try:
        plan = _schedule(jobs=jobs, rate=rate, duration=duration, pattern=pattern, every=every)
        body = _payload(payload, job_type=job_type, job_seconds=job_seconds)
        _place(url, stream, pool=pool)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    wish = Load(
        target=Target(url=url, stream=stream, group=group, type=job_type, payload=body),
        schedule=plan,
        patience_seconds=timeout,
    )
    try:
        watched = _Watched(pool=pool, namespace=namespace, context=context, metrics=tuple(metrics or ()))
        report = asyncio.run(_run(wish, console=errors, watched=watched))
    except (BrokerError, NoPoolError, ConfigurationError) as error:
        errors.print(f"wpool load: {error}", style="red", highlight=False, markup=False)
        code = ExitCode.USAGE if isinstance(error, ConfigurationError) else ExitCode.UNREACHABLE
        raise typer.Exit(code) from error
    console.print(report.table())
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    raise typer.Exit(exit_code(report))


def exit_code(report: Report) -> ExitCode:
    """What a shell learns of a load."""
    match report.end:
        case End.STOPPED:
            return ExitCode.STOPPED
        case End.BROKER_LOST:
            return ExitCode.UNREACHABLE
        case End.TIMED_OUT:
            return ExitCode.TIMED_OUT
    return ExitCode.JOBS_FAILED if report.jobs_lost or report.jobs_dead else ExitCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """Who is looked at beside the queue."""

    pool: str
    namespace: str | None
    context: str | None
    metrics: tuple[str, ...]
    """Addresses."""


async def _run(wish: Load, *, console: Console, watched: _Watched) -> Report:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, _stopper(stop))
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        history, pods = None, None
        if watched.pool:
            watch, pods = await stack.enter_async_context(_watching(watched))
            history, target = watch.history, wish.target
            if not target.stream and not target.url.startswith("sqlite:"):
                names = names_in(watch.pool.objects.get(watched.pool) or {}, url=target.url)
                wish = replace(wish, target=replace(target, stream=names.stream, group=target.group or names.group))
        view = stack.enter_context(LoadView(console))
        workers = Addresses(watched.metrics) if watched.metrics else pods
        return await run(wish, stop=stop, pool=history, workers=workers, on_progress=view)


def _stopper(stop: asyncio.Event) -> Any:
    """The first Ctrl-C ends the load with its report, the second one ends it as Python does."""

    def handle() -> None:
        stop.set()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)

    return handle


@contextlib.asynccontextmanager
async def _watching(watched: _Watched) -> AsyncIterator[tuple["PoolWatch", Pods]]:
    # Imported here because it brings the Kubernetes client, which takes longer to import than most loads last.
    from workerpool_operator.cli.pool_watch import watch_pool  # noqa: PLC0415
    from workerpool_operator.kube import AccessError, ClusterAccess, KubeError  # noqa: PLC0415

    namespace = watched.namespace
    async with contextlib.AsyncExitStack() as stack:
        try:
            access = await ClusterAccess.find(context=watched.context, program=cluster.PROGRAM)
            namespace = namespace or access.namespace
            watch = await stack.enter_async_context(watch_pool(access, namespace=namespace, name=watched.pool))
        except (KubeError, AccessError) as error:
            where = f"{namespace}/{watched.pool}" if namespace else watched.pool
            raise NoPoolError(f"pool {where} cannot be watched: {error}") from error
        yield watch, Pods(access, namespace=namespace, names=lambda: list(watch.pods.objects))


def _schedule(
    *, jobs: int | None, rate: float | None, duration: float | None, pattern: Pattern, every: float
) -> schedules.Schedule:
    if rate is None:
        if jobs is None or duration is not None or pattern is not Pattern.STEADY:
            raise ValueError(
                "say how much to send: --jobs N for all at once, or --rate R with --duration D or --jobs N"
            )
        return schedules.burst(jobs=jobs)
    if (jobs is None) == (duration is None):
        raise ValueError("with --rate, say for how long: either --duration or --jobs")
    count = jobs if jobs is not None else math.floor(rate * (duration or 0.0))
    match pattern:
        case Pattern.STEADY:
            return schedules.steady(rate=rate, jobs=count)
        case Pattern.BURST:
            return schedules.bursts(size=max(1, round(rate * every)), every=every, jobs=count)
        case Pattern.RAMP:
            return schedules.ramp(rate=rate, seconds=duration or 2 * count / rate)
        case Pattern.PEAK2X:
            return schedules.peak(rate=rate, seconds=duration or 3 * count / (4 * rate))


def _place(url: str, stream: str, *, pool: str) -> None:
    scheme = url.partition(":")[0]
    if scheme == "memory":
        raise ValueError("no worker of another process can see a queue in memory://")
    if not stream and not pool and scheme != "sqlite":
        raise ValueError("say which queue it is: --stream, or --queue or --topic, which mean the same, or the --pool")


def _payload(text: str, *, job_type: str, job_seconds: float) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--payload is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError('--payload must be a JSON object, such as {"width": 200}')  # noqa: TRY004  a usage error
    if job_type == DEFAULT_TYPE:
        return {"seconds": job_seconds, "record": True, **given}
    return given
