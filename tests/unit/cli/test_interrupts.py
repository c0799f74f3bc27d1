"""Commands that are ended while they wait: by which signal, what they say, and what they take back."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
import typer

from workerpool_operator.cli import cluster, interrupts
from workerpool_operator.cli.interrupts import EndedError, leaves, whole

WAITS = """
import asyncio, sys
from workerpool_operator.cli.interrupts import EndedError, leaves, run

async def waits():
    try:
        with leaves("it goes on"):
            print("waits", flush=True)
            await asyncio.Event().wait()
    finally:
        print("taken back", flush=True)

try:
    run(waits)
except EndedError as ended:
    print(ended)
    sys.exit(ended.status)
"""


def ended_by(number: signal.Signals, *before: str) -> "tuple[int, list[str]]":
    """How a process that waits ends by this signal, and what it says."""
    command = [*before, sys.executable, "-c", WAITS]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.send_signal(number)
        if before:
            process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    return process.returncode, out.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_waits_takes_back_and_says_what_goes_on(number: signal.Signals) -> None:
    """The exit code is what a shell would make of the signal."""
    assert ended_by(number) == (128 + number, ["taken back", "it goes on"])


def test_what_was_told_to_live_on_without_a_terminal_does() -> None:
    """`nohup` has the signal ignored: so does this, and the next one ends it."""
    assert ended_by(signal.SIGHUP, "nohup") == (128 + signal.SIGTERM, ["taken back", "it goes on"])


def test_what_leaves_nothing_is_ended_as_ever() -> None:
    """By Ctrl-C with Python's own exception; in another thread than the main one no signal is touched."""

    async def waits() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        interrupts.run(waits)


async def test_it_can_be_run_in_another_thread() -> None:
    """As the tests of the commands do."""

    async def answer() -> int:
        return 5

    assert await asyncio.to_thread(interrupts.run, answer) == 5


async def test_what_is_not_ended_goes_on() -> None:
    """And whatever else happens in it is not hidden."""
    with leaves("x"):
        pass
    with pytest.raises(ZeroDivisionError), leaves("x"):
        raise ZeroDivisionError


async def test_what_is_written_is_written_to_its_end() -> None:
    """The cancellation comes after it, so that who takes it back knows of it; a failure of it is not left lying."""
    begun, may_end, written = asyncio.Event(), asyncio.Event(), []

    async def write(*, fails: bool) -> None:
        begun.set()
        await may_end.wait()
        written.append(fails)
        if fails:
            raise ZeroDivisionError

    for fails in (False, True):
        begun.clear()
        may_end.clear()
        writing = asyncio.ensure_future(whole(write(fails=fails)))
        await begun.wait()
        writing.cancel()
        await asyncio.sleep(0)
        assert not writing.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert written == [False, True]
    with pytest.raises(ZeroDivisionError):
        await whole(write(fails=True))


def test_a_command_says_in_a_sentence_what_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard error, and with the code of the signal."""

    def ended(_: object) -> None:
        raise EndedError("thumbs stays stopped", number=signal.SIGTERM)

    monkeypatch.setattr(interrupts, "run", ended)
    with pytest.raises(typer.Exit) as exit_:
        cluster.asked("drain", lambda _: asyncio.sleep(0), context=None)
    assert exit_.value.exit_code == 143
    assert capsys.readouterr().err == "wpool drain: interrupted. thumbs stays stopped\n"
