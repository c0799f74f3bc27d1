"""Memory between processes that nothing can leave behind."""

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workerpool.shared import Shared, mapped

CHILD = """
import os, pickle, signal, sys
block = pickle.loads(bytes.fromhex(sys.argv[1]))
block.view[:3] = bytes(block.view[:3]).upper()
print(block.size, flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
block.close()
"""


def run_child(block: Shared, *, end: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, pickle.dumps(block).hex(), end]
    return subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)


def memory_files() -> set[str]:
    """Shared memory of this package that has a name, and what this process holds without one.

    Other runs of the tests keep their files there, too: see scripts/test.sh.
    """
    return {
        str(path)
        for folder in ("/dev/shm", "/proc/self/fd")
        for path in Path(folder).iterdir()
        if "workerpool" in str(path.resolve(strict=False)).rpartition("/")[2].replace("workerpool-tests-", "")
    }


@pytest.mark.parametrize("end", ["close", "die"])
def test_another_process_writes_into_the_same_memory_and_may_die_with_it(end: str) -> None:
    before = memory_files()
    with Shared.of(b"abcdef") as block:
        done = run_child(block, end=end)
        assert done.stdout == "6\n", done.stderr
        assert done.returncode == (-signal.SIGKILL if end == "die" else 0)
        assert bytes(block.view) == b"ABCdef"
        assert memory_files() > before
    assert memory_files() == before


def test_an_owner_that_is_killed_leaves_nothing_behind() -> None:
    before = memory_files()
    code = (
        "import os, signal; from workerpool.shared import Shared; b = Shared.of(bytes(1 << 20)); "
        "print(flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == -signal.SIGKILL
    assert memory_files() == before


def test_it_begins_with_zeros_and_can_be_closed_twice() -> None:
    block = Shared(4096)
    assert bytes(block.view) == bytes(4096)
    block.close()
    block.close()


def test_a_block_whose_sender_has_closed_it_cannot_be_had() -> None:
    block = Shared(1)
    address = pickle.dumps(block)
    block.close()
    with pytest.raises(FileNotFoundError):
        pickle.loads(address)


def test_what_does_not_fit_into_memory_is_refused_when_it_is_made() -> None:
    before = memory_files()
    with pytest.raises(OSError, match=r"."):
        Shared(1 << 60)
    assert memory_files() == before


def test_a_file_is_read_as_memory(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with mapped(tmp_path / "x") as view:
        assert bytes(view[3:5]) == b"34"
        assert view.readonly
