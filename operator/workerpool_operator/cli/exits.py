"""What a shell learns of how a command ended."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the commands' interface."""

    OK = 0
    NOTHING = 1
    """It answered, and there is nothing to show."""
    USAGE = 2
    UNREACHABLE = 3
    """The cluster, or what was asked for in it, cannot be asked, or nothing runs in it that would do it."""
    INTERRUPTED = 130
    """By Ctrl-C: 128 and the signal's number, as for the other signals that end a process."""
