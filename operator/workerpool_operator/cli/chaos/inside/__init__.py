"""Programs that are run inside of containers, as `python -c`, so that these need nothing but a Python.

Each is a module of its own that imports the standard library alone (`lock` also asyncpg, which is in the operator's
image), and its text is what is sent.
"""

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


def program(name: str, *arguments: str) -> list[str]:
    """The command that runs one of them."""
    return ["python", "-c", (_HERE / f"{name}.py").read_text("utf-8"), *arguments]
