"""What is asked before it is done: one rule, for the commands and for the page.

Asked is before
- what stops work, or keeps workers from coming: stop, drain, hold the size;
- what gives up a trial, or the safety of its steps: abort, undo, promote fully; and dead letters for good (dlq purge);
- what may be more at once than what the workers call can bear: all dead letters (dlq redrive without a choice);
- what has all workers leave, since a job that outlasts the time that a worker has to go is interrupted: restart,
  migrate, reassign, drain a node, adopt with its hand-over;
- what breaks something on purpose (chaos), and what writes over a file (init).

Not asked is before what gives back (start, release the size, end a throttle), what names its own measure and end
(throttle, silence), and what another word undoes at once (pause, resume, retry, promote by one step).

Scripts say `--yes`. Where nobody can be asked and nothing was said, nothing is done.
"""

from typing import Annotated, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.terminal import say

QUESTIONS: Final = {
    "stop": "Stop {pool}? Its workers end their jobs and go; what is enqueued waits until it is started again.",
    "drain": "Stop {pool}, so that its {workers} workers end their jobs and go? What is enqueued waits until it is "
    "started again.",
    "cordon-node": "Cordon {node}, so that nothing new comes onto it? No worker is there that would have to leave it.",
    "drain-node": "Cordon {node}, and have these leave it: {workers}?",
    "hold-size": "Keep the number of workers of {pool} as it is, whatever comes into the queues?",
    "abort": "Go back from version {version} of {pool}? It is not tried again by itself.",
    "undo": "Go back from version {version} of {pool} to the one before? It is not tried again by itself.",
    "promote-full": "Make version {version} of {pool} the stable one now, without the steps that are left?",
    "purge": "Delete dead letters of {pool} for good ({which})?",
    "redrive": "Let all {letters} dead letters {which}of {pool} wait again? They come to the workers at once, and to "
    "what those call.",
    "restart": "Replace all workers of {pool} by new ones of the same image? Busy ones end their jobs first.",
    "migrate": "Move the workers of {pool} to the {place} place? One at a time, idle ones first; it holds until the "
    "next migrate.",
    "reassign": "Give {pool} another primary place? Its workers move there, one at a time. A pool that is kept in Git "
    "is changed there instead.",
}
"""By what is done. What is not in here is not asked."""

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Have the API server check it, write nothing, and say what it would do.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def question(verb: str, **words: object) -> str:
    """What is asked; empty where nothing is."""
    return QUESTIONS[verb].format(**words) if verb in QUESTIONS else ""


def asks(verb: str, *, yes: bool, dry_run: bool) -> bool:
    """Whether this is asked first."""
    return verb in QUESTIONS and not (yes or dry_run)


def somebody_there(verb: str) -> None:
    """Before anything is read for the question.

    Raises:
        typer.BadParameter: there is nobody to ask here.
    """
    if not cluster.somebody_is_there():
        raise typer.BadParameter(f"{verb} asks first, and nobody can be asked here: say --yes")


def ask(verb: str, *, yes: bool, dry_run: bool = False, **words: object) -> None:
    """Go on only with consent; a dry run needs none.

    Raises:
        typer.Exit: a person has said no (exit code 1).
        typer.BadParameter: there is nobody to ask here.
    """
    if asks(verb, yes=yes, dry_run=dry_run):
        cluster.confirmed(question(verb, **words), yes=yes)


def rehearsed(what: str, then: str) -> str:
    """What a dry run says."""
    return f"{what}: would {then} (dry run: the API server accepts it, and nothing was written)"


def tell(what: str, *, done: str, would: str, dry_run: bool) -> None:
    """Say what was done to a pool or node, or what a dry run says would be."""
    say(rehearsed(what, would) if dry_run else done)
