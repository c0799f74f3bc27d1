"""A disk that is full, for one process and one folder: what the process writes there is refused as the kernel would."""

from collections.abc import Mapping
from pathlib import Path

from tests.support.preload import built

_LIBRARY = r"""
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int full(int file) {
  char link[64], path[4096];
  const char *folder = getenv("FULL_DISK_FOLDER"), *flag = getenv("FULL_DISK_FLAG");
  if (access(flag, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
  if (full(file)) {
    errno = ENOSPC;
    return -1;
  }
  return real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }

ssize_t write(int file, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "write");
  if (full(file)) {
    errno = ENOSPC;
    return -1;
  }
  return real(file, bytes, count);
}
"""


class Disk:
    """Start the process with `env`; what it is to find full lies in `folder`."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self.folder.mkdir(parents=True)
        self._flag = place / "full"
        library = built(place / "library", "disk", _LIBRARY)
        self.env: Mapping[str, str] = {
            **library,
            "FULL_DISK_FOLDER": str(self.folder),
            "FULL_DISK_FLAG": str(self._flag),
        }

    def fill(self) -> None:
        self._flag.touch()

    def make_room(self) -> None:
        self._flag.unlink()
