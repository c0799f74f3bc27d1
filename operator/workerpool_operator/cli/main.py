"""`wpool`: the commands, put together."""

from typing import Annotated, Final

import typer
from typer._completion_classes import completion_init

from workerpool_operator import __version__
from workerpool_operator.cli.lazy import Place
from workerpool_operator.cli.pipe import Command

PLACES: Final = {
    "get": Place(
        "get.command",
        "get",
        "Show pools: a line each, or one as a live tree of its queues, versions and pods (`--watch`).",
    ),
    "explain": Place(
        "explain.command",
        "explain",
        "Why a pool has its size, why its canary has its verdict, and why its workers are where they are.",
    ),
    "describe": Place(
        "describe",
        "describe",
        "Show all that is known of a pool.",
    ),
    "events": Place(
        "events",
        "events",
        "Show what has happened to pools, and with a pool's name to its Deployments and pods as well.",
    ),
    "logs": Place(
        "logs.command",
        "logs",
        "Show what the workers of a pool have written, all of them together, in the order of time.",
    ),
    "top": Place(
        "top",
        "top",
        "Show which pools have the most work, or what each worker of one pool does and uses.",
    ),
    "adopt": Place(
        "adopt.command",
        "adopt",
        "Write a WorkerPool from a running Deployment, and let it take over the work.",
    ),
    "throttle": Place(
        "oncall",
        "throttle",
        "Let a pool's workers begin fewer jobs per second for a while, all of them together.",
        texts="THROTTLE_",
    ),
    "stop": Place(
        "switch",
        "stop",
        "Stop a pool: its workers finish their jobs and go, and what is enqueued waits.",
        texts="STOP_",
    ),
    "start": Place(
        "switch",
        "start",
        "Start a pool that was stopped: it has as many workers again as its queues ask for.",
        texts="START_",
    ),
    "drain": Place(
        "drain.command",
        "drain",
        "Empty a pool, or a node, of workers: idle ones go first, and no job is interrupted.",
    ),
    "restart": Place(
        "oncall",
        "restart",
        "Replace all workers of a pool by new ones of the same image, as a new version would.",
        texts="RESTART_",
    ),
    "migrate": Place(
        "placement",
        "migrate",
        "Move a pool's workers to its primary or secondary place, one at a time, idle ones first.",
        texts="MIGRATE_",
    ),
    "reassign": Place(
        "placement",
        "reassign",
        "Give a pool another primary place: its workers move there, one at a time, idle ones first.",
        texts="REASSIGN_",
    ),
    "dlq": Place(
        "dlq.command",
        "app",
        "Look at a pool's dead letters, let them wait again, or delete them.",
    ),
    "ui": Place(
        "ui",
        "ui",
        "Show pools in a browser, live: all of them, one with charts and log, budgets, cost.",
    ),
    "rollout": Place(
        "rollout.command",
        "app",
        "Show how far a pool's new version is, wait for its end, or decide about it.",
    ),
    "init": Place(
        "starter",
        "init",
        "Write a WorkerPool to begin with, each line explained.",
    ),
    "tls": Place(
        "tls",
        "tls",
        "Write a Secret with a CA and a certificate for the operator, to install it without Helm.",
    ),
    "lint": Place(
        "lint.command",
        "lint",
        "Check WorkerPools and WorkerPoolBudgets as `kubectl apply` would, without a cluster.",
    ),
    "checklist": Place(
        "checklist.command",
        "checklist",
        "The list to go through before a pool goes live: what the pool itself tells, and what only people know.",
    ),
    "completion": Place(
        "completion",
        "completion",
        "Print the script that makes a shell complete the words of `wpool`, and names of pools.",
    ),
    "job": Place(
        "jobs",
        "app",
        "Look for single jobs of a pool.",
    ),
    "report": Place(
        "report",
        "report",
        "Report what pools have done in a week: jobs, failures, waits, workers, cost and the alerts that fired.",
    ),
    "silence": Place(
        "silence",
        "silence",
        "Silence the alerts of a pool for a while: for work that is known to trip them.",
    ),
    "cost": Place(
        "cost",
        "cost",
        "Show what pools have used: worker-hours of each version, how much of that was idle, and the price.",
    ),
    "doctor": Place(
        "doctor.command",
        "doctor",
        "Look for what keeps pools from working.",
    ),
    "chaos": Place(
        "chaos.command",
        "chaos",
        "Break something on purpose, and see whether what is expected of it holds.",
    ),
    "load": Place(
        "load.command",
        "load",
        "Feed a queue on schedule, and measure what became of the jobs.",
    ),
    "size": Place(
        "size.command",
        "size",
        "How many workers, slots and pods a load needs, worked out step by step.",
    ),
    "simulate": Place(
        "simulate.command",
        "simulation",
        "Play a pool's scaling and canary settings against a load, before anything is applied.",
    ),
    "check": Place(
        "check.command",
        "check",
        "Find in the source of workers what overloads, hangs or stalls them; nothing of it is run.",
    ),
    "profile": Place(
        "profile.command",
        "profile",
        "Run a handler 5 to 20 times, and tell what it does with its time and where it should run.",
    ),
    "dump": Place(
        "look.command",
        "dump",
        "Show what a live worker is doing: its jobs in flight and their ages.",
        texts="DUMP_",
    ),
    "flame": Place(
        "look.command",
        "flame_graph",
        "Draw where a live worker's time goes, as a flame graph, by sampling it for some seconds.",
        texts="FLAME_",
    ),
    "sweep": Place(
        "sweep.command",
        "sweep",
        "Find how many jobs at a time what they call can take: the knee of throughput.",
    ),
    "bench": Place(
        "bench.command",
        "bench",
        "Run the same jobs sequentially, in threads, in the event loop and in processes.",
    ),
}
"""In the order of their list."""


class Wpool(Command):
    """All of them."""

    places = PLACES


app = typer.Typer(
    name="wpool",
    cls=Wpool,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
)
completion_init()  # or nobody would answer the questions of a shell's script


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wpool {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Queue workers on Kubernetes, from your own machine."""
