"""The pause image, made by whoever needs it first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.cluster import paths, pauseimage, toolchain


def test_nodes_that_start_together_each_find_it_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, together = tmp_path / "pause", threading.Barrier(4, timeout=30)
    program.write_bytes(b"program" * 1000)
    packed = b"image" * 4_000_000  # takes a moment to write

    def pack(content: bytes, *, machine: str) -> bytes:
        del content, machine
        together.wait()  # all of them have found none
        return packed

    monkeypatch.setattr(paths, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(toolchain, "path", lambda _: program)
    monkeypatch.setattr(pauseimage, "pack", pack)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(pauseimage.archive) for _ in range(4)]
        files = {one.result(timeout=60) for one in found}
    (file,) = files
    assert file.read_bytes() == packed
    assert list(file.parent.iterdir()) == [file]
