"""`wpool completion`: what makes a shell complete the words of `wpool`."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer
from typer._completion_classes import BashComplete
from typer._completion_shared import get_completion_script

from workerpool_operator.cli.terminal import one_line

HELP: Final = """Print the script that makes a shell complete the words of `wpool`, and names of pools.

Names are those that you may list in the namespace that was typed before, or the context's. Where the cluster does not
answer within a second, or all of it takes three, there are none, without a word; `WPOOL_COMPLETION_SECONDS` says
another number than three, for a login that takes long. For `kubectl wpool` nothing is to be done but to have
[kubectl's own completion](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_completion/): the package
installs `kubectl_complete-wpool`, which kubectl (1.26 or later) asks.

Exit codes: 0 printed; 2 wrong usage.
"""
EPILOG: Final = """**Examples**

    wpool completion bash > ~/.local/share/bash-completion/completions/wpool

    wpool completion zsh > "${fpath[1]}/_wpool"

    wpool completion fish > ~/.config/fish/completions/wpool.fish
"""


class Shell(StrEnum):
    """Whose words are completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_NO_FILES: Final = 4
"""Of cobra, which kubectl's completion is made with: do not complete names of files."""


def for_kubectl() -> None:
    """Entry point of `kubectl_complete-wpool`, which kubectl runs with the words after `kubectl wpool`.

    The last one is to be completed. It prints a line for each completion, with what it means behind a tab, and last
    what the shell shall do. Whatever goes wrong, there is nothing to complete.
    """
    from typer.main import get_command  # noqa: PLC0415

    from workerpool_operator.cli.main import app  # noqa: PLC0415  which imports this module

    *before, incomplete = sys.argv[1:] or [""]
    asked = BashComplete(get_command(app), {}, "wpool", "_WPOOL_COMPLETE")
    try:
        found = asked.get_completions(before, incomplete)
    except Exception:  # noqa: BLE001  what is typed is not complete: anything may be wrong with it
        found = []
    for one in found:
        meaning = one_line(one.help or "").split(". ")[0]
        typer.echo(f"{one.value}\t{meaning}" if meaning else one.value)
    typer.echo(f":{_NO_FILES if found else 0}")


def completion(  # noqa: D103  typer: the help text is HELP
    shell: Annotated[Shell, typer.Argument(help="Your shell.", show_default=False)],
) -> None:
    typer.echo(get_completion_script(prog_name="wpool", complete_var="_WPOOL_COMPLETE", shell=shell.value))
