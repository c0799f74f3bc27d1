"""What a shell starts. Ctrl-C ends it without a traceback from the first line on: so nothing is imported before."""

import sys


def wpool(name: str | None = None) -> None:
    """`wpool`; by default called as it was started."""
    try:
        from workerpool_operator.cli.main import app  # noqa: PLC0415  see above

        app(prog_name=name)
    except KeyboardInterrupt:
        sys.exit(_interrupted())


def completing_for_kubectl() -> None:
    """`kubectl_complete-wpool`."""
    try:
        from workerpool_operator.cli.completion import for_kubectl  # noqa: PLC0415  see above

        for_kubectl()
    except KeyboardInterrupt:
        sys.exit(_interrupted())


def _interrupted() -> int:
    from workerpool_operator.cli.exits import ExitCode  # noqa: PLC0415  see above

    return ExitCode.INTERRUPTED
