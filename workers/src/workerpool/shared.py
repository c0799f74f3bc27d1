"""Large data between processes of this machine without copies, and without anything that could be left behind.

`Shared` is memory without a name (memfd_create(2)): there is nothing in /dev/shm that would have to be unlinked, and
the kernel frees it when the last process that has it has closed it, or has died, by whatever. The shared memory of
`multiprocessing` has names: a block whose owner is killed stays, and its resource tracker unlinks, when a process ends
that merely attached, what others still use (CPython issue 82300).

It is pickled as the address of its file descriptor, so it can be sent to any process of the same user while the sender
keeps it open: `/proc/PID/fd/N`. Linux only.

```python
with Shared.of(image) as block, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
    await asyncio.get_running_loop().run_in_executor(pool, blur, block)  # blur writes into block.view
    ...
```

`mapped` is a file as memory: pages are read when they are touched, and shared by all processes that map it.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self


class Shared:
    """So many bytes; `view` is the memory itself. Close it, or use it in a `with`."""

    def __init__(self, size: int) -> None:
        """Zeros, at least one. Pages become memory when they are touched, as everywhere.

        Raises:
            OSError: no process can have so much.
        """
        fd = os.memfd_create("workerpool")
        try:
            os.ftruncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        self._open(fd, size)

    def _open(self, fd: int, size: int) -> None:
        self._fd, self.size = fd, size
        try:
            self._map = mmap.mmap(fd, size)
        except BaseException:
            os.close(fd)
            raise
        self.view = memoryview(self._map)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """A copy of these bytes, at least one."""
        block = cls(len(data))
        block.view[:] = data
        return block

    def close(self) -> None:
        """Give it up, here. Views that were made of `view` must be released before (`BufferError`)."""
        if self._fd >= 0:
            self.view.release()
            self._map.close()
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _attached, (os.getpid(), self._fd, self.size)


def _attached(pid: int, fd: int, size: int) -> Shared:
    block = Shared.__new__(Shared)
    block._open(os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR | os.O_CLOEXEC), size)  # noqa: SLF001  its own kind
    return block


@contextmanager
def mapped(path: Path | str) -> Iterator[memoryview]:
    """A file's bytes, read only; it must not be empty, and nobody may truncate it meanwhile (SIGBUS)."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        view = memoryview(memory)
        try:
            yield view
        finally:
            view.release()
