"""The wall clock of a server that a test starts, set as somebody sets that of its machine, while it runs.

A library that the loader puts before libc (LD_PRELOAD) adds an offset to what the server reads; monotonic time goes on.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_LIBRARY = r"""
#define _GNU_SOURCE
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
    """Of one server: start it with `env`. Skips the test where there is no C compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("no C compiler, by which a server's clock is set")
        folder.mkdir(parents=True, exist_ok=True)
        source, self._library = folder / "clock.c", folder / "clock.so"
        source.write_text(_LIBRARY)
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self._library, source, "-ldl"], check=True)
        self._offset = folder / "offset"
        self.set(0)

    @property
    def env(self) -> Mapping[str, str]:
        """For the server."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(self._offset)}

    def set(self, seconds: int) -> None:
        """By so many seconds ahead of ours, or behind."""
        with self._offset.open("r+" if self._offset.exists() else "w") as file:
            file.write(f"{seconds:+012d}\n")  # as long each time: a reader never finds a part of it
