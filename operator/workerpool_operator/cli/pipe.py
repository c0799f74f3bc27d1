"""What becomes of a command whose output cannot be written: `wpool logs thumbs | head -1`, or a disk that is full.

With its reader gone it ends as other programs of Unix do, which the kernel ends by SIGPIPE as they write on. Python
ignores that signal, and has to: a connection to the cluster that breaks must not end the program. So it is sent when
the write has failed.
"""

import os
import signal
import sys
from typing import Any, Final

from workerpool_operator.cli.exits import ExitCode
from workerpool_operator.cli.lazy import LazyGroup

_STATUS: Final = 141
"""What a shell makes of SIGPIPE; for systems without it."""


class Command(LazyGroup):
    """All commands, together."""

    def main(self, *args: Any, **options: Any) -> Any:
        """As in `click`, but for what cannot be written: there a closed pipe is exit code 1, nothing to show."""
        try:
            return super().main(*args, **options)
        except BrokenPipeError:
            _end_by_signal()
        except SystemExit as error:
            if isinstance(error.__context__, BrokenPipeError):
                _end_by_signal()
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            print(f"wpool: {where}{error.strerror or error}", file=sys.stderr)  # noqa: T201  no console of ours is known
            _forget_output()
            sys.exit(ExitCode.UNREACHABLE)


def _end_by_signal() -> None:
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(_STATUS)


def _forget_output() -> None:
    """What could not be written is not tried again at the end, where nobody could catch that."""
    if (own := sys.__stdout__) is not None and sys.stdout is own:
        os.dup2(os.open(os.devnull, os.O_WRONLY), own.fileno())
