"""`wpool`: the commands, put together."""

from typing import Annotated

import typer

from workerpool_operator import __version__
from workerpool_operator.cli import (
    completion,
    cost,
    describe,
    events,
    jobs,
    oncall,
    placement,
    report,
    silence,
    starter,
    switch,
    tls,
    top,
)
from workerpool_operator.cli import ui as ui_command
from workerpool_operator.cli.adopt import command as adopt_command
from workerpool_operator.cli.bench import command as bench_command
from workerpool_operator.cli.chaos import command as chaos_command
from workerpool_operator.cli.check import command as check_command
from workerpool_operator.cli.checklist import command as checklist_command
from workerpool_operator.cli.dlq import command as dlq_command
from workerpool_operator.cli.doctor import command as doctor_command
from workerpool_operator.cli.drain import command as drain_command
from workerpool_operator.cli.explain import command as explain_command
from workerpool_operator.cli.get import command as get_command
from workerpool_operator.cli.lint import command as lint_command
from workerpool_operator.cli.load import command as load_command
from workerpool_operator.cli.logs import command as logs_command
from workerpool_operator.cli.look import command as look_command
from workerpool_operator.cli.pipe import Command
from workerpool_operator.cli.profile import command as profile_command
from workerpool_operator.cli.rollout import command as rollout_command
from workerpool_operator.cli.simulate import command as simulate_command
from workerpool_operator.cli.size import command as size_command
from workerpool_operator.cli.sweep import command as sweep_command

app = typer.Typer(
    name="wpool",
    cls=Command,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
)


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


app.command("get", help=get_command.HELP, epilog=get_command.EPILOG)(get_command.get)
app.command("explain", help=explain_command.HELP, epilog=explain_command.EPILOG)(explain_command.explain)
app.command("describe", help=describe.HELP, epilog=describe.EPILOG)(describe.describe)
app.command("events", help=events.HELP, epilog=events.EPILOG)(events.events)
app.command("logs", help=logs_command.HELP, epilog=logs_command.EPILOG)(logs_command.logs)
app.command("top", help=top.HELP, epilog=top.EPILOG)(top.top)
app.command("adopt", help=adopt_command.HELP, epilog=adopt_command.EPILOG)(adopt_command.adopt)
app.command("throttle", help=oncall.THROTTLE_HELP, epilog=oncall.THROTTLE_EPILOG)(oncall.throttle)
app.command("stop", help=switch.STOP_HELP, epilog=switch.STOP_EPILOG)(switch.stop)
app.command("start", help=switch.START_HELP, epilog=switch.START_EPILOG)(switch.start)
app.command("drain", help=drain_command.HELP, epilog=drain_command.EPILOG)(drain_command.drain)
app.command("restart", help=oncall.RESTART_HELP, epilog=oncall.RESTART_EPILOG)(oncall.restart)
app.command("migrate", help=placement.MIGRATE_HELP, epilog=placement.MIGRATE_EPILOG)(placement.migrate)
app.command("reassign", help=placement.REASSIGN_HELP, epilog=placement.REASSIGN_EPILOG)(placement.reassign)
app.add_typer(dlq_command.app, name="dlq", epilog=dlq_command.EPILOG)
app.command("ui", help=ui_command.HELP, epilog=ui_command.EPILOG)(ui_command.ui)
app.add_typer(rollout_command.app, name="rollout", epilog=rollout_command.EPILOG)
app.command("init", help=starter.HELP, epilog=starter.EPILOG)(starter.init)
app.command("tls", help=tls.HELP, epilog=tls.EPILOG)(tls.tls)
app.command("lint", help=lint_command.HELP, epilog=lint_command.EPILOG)(lint_command.lint)
app.command("checklist", help=checklist_command.HELP, epilog=checklist_command.EPILOG)(checklist_command.checklist)
app.command("completion", help=completion.HELP, epilog=completion.EPILOG)(completion.completion)
app.add_typer(jobs.app, name="job", epilog=jobs.EPILOG)
app.command("report", help=report.HELP, epilog=report.EPILOG)(report.report)
app.command("silence", help=silence.HELP, epilog=silence.EPILOG)(silence.silence)
app.command("cost", help=cost.HELP, epilog=cost.EPILOG)(cost.cost)
app.command("doctor", help=doctor_command.HELP, epilog=doctor_command.EPILOG)(doctor_command.doctor)
app.command("chaos", help=chaos_command.HELP, epilog=chaos_command.EPILOG)(chaos_command.chaos)
app.command("load", help=load_command.HELP, epilog=load_command.EPILOG)(load_command.load)
app.command("size", help=size_command.HELP, epilog=size_command.EPILOG)(size_command.size)
app.command("simulate", help=simulate_command.HELP, epilog=simulate_command.EPILOG)(simulate_command.simulation)
app.command("check", help=check_command.HELP, epilog=check_command.EPILOG)(check_command.check)
app.command("profile", help=profile_command.HELP, epilog=profile_command.EPILOG)(profile_command.profile)
app.command("dump", help=look_command.DUMP_HELP, epilog=look_command.DUMP_EPILOG)(look_command.dump)
app.command("flame", help=look_command.FLAME_HELP, epilog=look_command.FLAME_EPILOG)(look_command.flame_graph)
app.command("sweep", help=sweep_command.HELP, epilog=sweep_command.EPILOG)(sweep_command.sweep)
app.command("bench", help=bench_command.HELP, epilog=bench_command.EPILOG)(bench_command.bench)
