"""Where a handler is, so that another process can import it."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from workerpool.errors import ConfigurationError

_LOADED_MAIN = "__mp_main__"
"""The name that multiprocessing gives to a program loaded in a child: `if __name__ == "__main__"` does not hold."""


class Address(NamedTuple):
    """Of a function."""

    module: str
    """Empty: `file` is the program itself."""
    file: str
    name: str
    """Dotted, inside the module."""

    def load(self) -> Callable[[Any], Any]:
        """Import the function, in a process that is not the worker."""
        module = import_module(self.module) if self.module else _load_program(self.file)
        found: Any = module
        for part in self.name.split("."):
            found = getattr(found, part)
        function: Callable[[Any], Any] = found
        return function


def address_of(function: Callable[..., Any]) -> Address:
    """Where another process finds this function.

    Raises:
        ConfigurationError: it finds it nowhere, or another one in its place.
    """
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(getattr(function, "__module__", ""))
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if module is None or found is not function:
        raise ConfigurationError(
            f"{name or function!r} runs in the cpu lane, in a process that imports it: it must be a function at the "
            "top level of its module, under its own name"
        )
    if module.__name__ != "__main__":
        return Address(module.__name__, "", name)
    if module.__spec__ is not None:  # python -m
        return Address(module.__spec__.name, "", name)
    file = getattr(module, "__file__", None)
    if file is None:
        raise ConfigurationError(f"{name} runs in the cpu lane, in a process that imports it: put it into a file")
    return Address("", str(Path(file).resolve()), name)


def _load_program(file: str) -> ModuleType:
    import runpy  # noqa: PLC0415  only for a program that is not a module

    if _LOADED_MAIN not in sys.modules:
        module = ModuleType(_LOADED_MAIN)
        module.__dict__.update(runpy.run_path(file, run_name=_LOADED_MAIN))
        sys.modules[_LOADED_MAIN] = sys.modules["__main__"] = module
    return sys.modules[_LOADED_MAIN]
