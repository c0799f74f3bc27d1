"""What `make bench-workers` needs of each library is there."""

import pytest

from bench.peers.libraries import LIBRARIES, Library

OURS = "workerpool"


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_every_library_has_a_program_and_hashes_of_what_it_installs(library: Library) -> None:
    assert library.app.is_file()
    if library.name == OURS:
        assert not library.lock.exists()
        return
    lock = library.lock.read_text()
    pinned = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    assert pinned >= set(library.packages)
    assert lock.count("--hash=sha256:") >= len(pinned)
