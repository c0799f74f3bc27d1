"""The wall clock of a process, set as somebody sets that of its machine, while it runs.

An offset is added to what the process reads; monotonic time goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from e2e.support.preload import built

_LIBRARY = r"""
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
  static int file = -1;
  char text[32] = {0};
  if (file < 0) file = open(getenv("CLOCK_OFFSET_FILE"), O_RDONLY | O_CLOEXEC);
  return pread(file, text, sizeof text - 1, 0) > 0 ? atol(text) : 0;
}

int gettimeofday(struct timeval *now, void *zone) {
  static int (*real)(struct timeval *, void *);
  if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
  int failed = real(now, zone);
  now->tv_sec += offset();
  return failed;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += offset();
  return failed;
}
"""


class WallClock:
    """Of one process: start it with `env`. Raises NoCompilerError."""

    def __init__(self, folder: Path) -> None:
        """Build the library in this folder; the clock is right."""
        self._library = built(folder, "clock", _LIBRARY)
        self._offset = folder / "offset"
        self.set(0)

    @property
    def env(self) -> Mapping[str, str]:
        """What to start the process with."""
        return {**self._library, "CLOCK_OFFSET_FILE": str(self._offset)}

    def set(self, seconds: int) -> None:
        """Let it be so many seconds ahead of ours, or behind."""
        with self._offset.open("r+" if self._offset.exists() else "w") as file:
            file.write(f"{seconds:+012d}\n")  # as long each time: a reader never finds a part of it
