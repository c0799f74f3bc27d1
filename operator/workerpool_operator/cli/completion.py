"""`wpool completion`: what makes a shell complete the words of `wpool`."""

from enum import StrEnum
from typing import Annotated, Final

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

HELP: Final = """Print the script that makes a shell complete the words of `wpool`.

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


completion_init()  # or nobody would answer the script's questions


def completion(  # noqa: D103  typer: the help text is HELP
    shell: Annotated[Shell, typer.Argument(help="Your shell.", show_default=False)],
) -> None:
    typer.echo(get_completion_script(prog_name="wpool", complete_var="_WPOOL_COMPLETE", shell=shell.value))
