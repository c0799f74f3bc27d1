"""Prints docs/reference/cli.md: every command of `wpool`, from its own help."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer

from workerpool_operator.cli.main import app

HEAD = """\
# The command line: `wpool`

Generated from the commands' own help by `make generate`; `wpool COMMAND --help` shows the same. `kubectl wpool` is
`wpool`: the package installs both, and kubectl finds its plugins on the `PATH`; also what kubectl's completion asks,
`kubectl_complete-wpool`.

Commands that ask a cluster do so with your own rights, by the kubeconfig that kubectl would take (`KUBECONFIG`, else
`~/.kube/config`, in a pod its service account), in the context's namespace unless you name another. The operator has no
API of its own for them. `NO_COLOR=1` leaves colours out. What others wrote (names, messages, log lines) is shown with
its control characters spelled out, so that it cannot steer your terminal.

## Exit codes

They are stable.

| Code | Means, for all commands |
|---|---|
| 0 | done, or shown |
| 1 | it answered, and there is nothing to show or to do; for commands that look for faults: there are some |
| 2 | wrong usage: nothing was asked |
| 3 | the cluster or what was named in it cannot be asked, nothing runs that would do it, or the output not be written |
| 130 | interrupted by Ctrl-C; 143: by SIGTERM, 129: its terminal was closed. See below |
| 141 | nobody reads the output any more, as in `wpool logs thumbs \\| head -1`: by SIGPIPE, as other programs |

A command that has others says so below.

What only shows what comes (`logs --follow`, `events --follow`, `get --watch`, `rollout get --watch`, `ui`) is over with
Ctrl-C, exit code 0. A command that waits for something that it has begun takes back what would stay for nothing (the
Kubernetes Job of `dlq`, the order of `drain --node`, what `chaos` broke), says in a sentence what goes on without it
and how to look at that or undo it, and ends with 130. A second Ctrl-C ends it at once.

## What is asked first

One rule, for the commands and for [the page](../how-to/page.md). Asked is before

- what stops work, or keeps workers from coming: `stop`, `drain`, and on the page Hold size;
- what gives up a trial, or the safety of its steps: `rollout abort`, `rollout undo`, `rollout promote --full`; and dead
  letters for good (`dlq purge`);
- what may be more at once than what the workers call can bear: all dead letters (`dlq redrive` without `--job`,
  `--reason` or `--version`), with their number;
- what has all workers leave, since a job that outlasts the time that a worker has to go is interrupted: `restart`,
  `migrate`, `reassign`, `drain --node`, `adopt --apply`;
- what breaks something on purpose (`chaos`), and what writes over a file of yours (`init --output`).

Not asked is before what gives back (`start`), what names its own measure and end (`throttle`, `silence`), and what
another word undoes at once (`rollout pause`, `resume`, `retry`, and `promote` by one step). Scripts say `--yes`:
without a terminal and without it nothing is done, and the exit code is 2. Who says no gets 1.

`--dry-run` of what changes a pool has the API server check it, with your rights, its rules and its policies; nothing is
written, nobody is asked and nothing is waited for.

## Commands

"""


def commands(group: Any, *, above: str = "wpool") -> Iterator[tuple[str, Any]]:
    """Each command with its full name, groups before what is in them."""
    for name, command in sorted(group.commands.items()):
        yield f"{above} {name}", command
        if hasattr(command, "commands"):
            yield from commands(command, above=f"{above} {name}")


def section(name: str, command: Any) -> Iterator[str]:
    """One command of the page."""
    yield f"{'##' + '#' * name.count(' ')} `{name}`\n"
    yield (command.help or "").strip() + "\n"
    if command.epilog:
        yield command.epilog.strip() + "\n"
    rows = [row(parameter) for parameter in command.params if parameter.name != "help" and not parameter.hidden]
    if rows:
        yield "| Argument or option | |\n|---|---|\n" + "".join(rows)


def row(parameter: Any) -> str:
    """One of its arguments or options."""
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        words = name if parameter.required else f"[{name}]"
        words += "..." if parameter.nargs == -1 else ""
    else:
        words = ", ".join([*parameter.opts, *parameter.secondary_opts])
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    shown = "" if default in (None, "", False, ()) or callable(default) else f" Default: `{default}`."
    text = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| `{words}` | {text}{'' if text.endswith('.') or not text else '.'}{shown} |\n"


def page() -> str:
    """The page."""
    found = list(commands(typer.main.get_command(app)))
    index = "".join(f"- [`{name}`](#{name.replace(' ', '-')})\n" for name, _ in found)
    return HEAD + index + "\n" + "\n".join(part for name, command in found for part in section(name, command))


if __name__ == "__main__":
    print(page(), end="")
