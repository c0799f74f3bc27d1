"""Pages whose commands are run: what a reader would type, in the order of the page, in a folder of its own.

In a page, a fenced block whose first line is

    ```python file=worker.py    is written to that file (so are those of other languages; Python must compile),
    ```sh                       is typed into one shell that lasts for the page; it must not fail,
    ```text                     right after one is what the reader sees then: each of its lines, in that order, `…` for
                                anything.

Blocks of other kinds, and `sh elsewhere` (for a cluster that the page cannot bring), are left alone. Where a page tells
several ways of doing the same, each section of it is played by itself.
"""

import os
import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SECTION: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_MARK: Final = "@@ block"
SECONDS: Final = 240


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    info: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is; empty: none."""
        return self.info.partition("file=")[2]


def blocks(text: str) -> list[Block]:
    """All of them, in order."""
    return [Block(*found) for found in _BLOCK.findall(text)]


def sections(page: Path) -> dict[str, str]:
    """Of the second level: heading -> text. Only those with commands to type."""
    parts = _SECTION.split(page.read_text("utf-8"))[1:]
    return {
        heading: text for heading, text in zip(parts[::2], parts[1::2], strict=True) if any(map(_typed, blocks(text)))
    }


def play(
    page: Path,
    folder: Path,
    *,
    env: dict[str, str],
    section: str = "",
    without: Collection[str] = (),
    seconds: float = SECONDS,
    at: Path | None = None,
) -> None:
    """Do what the page says, or one section of it, or all `without` some; `at` a folder that is there already.

    Raises:
        AssertionError: something else comes out.
    """
    found = blocks(sections(page)[section] if section else _without(page, without))
    assert any(map(_typed, found)), f"{page} has no commands"
    for block in found:
        if block.file.endswith(".py"):
            compile(block.text, f"{page.name}: {block.file}", "exec")
    script = folder / "page.sh"
    script.write_text("".join(_script(found)), "utf-8")
    work = at or folder / "work"
    work.mkdir(exist_ok=at is not None)
    with (folder / "output").open("w+", encoding="utf-8") as output:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", str(script)],
            cwd=work,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds,
        )
        output.seek(0)
        said = output.read()
    assert done.returncode == 0, f"{page.name}: status {done.returncode}\n{said[-4000:]}"
    for number, block in enumerate(found):
        if block.language == "text" and number and found[number - 1].language == "sh":
            _assert_seen(block.text, _said_by(said, number - 1), page)


def _without(page: Path, headings: Collection[str]) -> str:
    text, parts = page.read_text("utf-8"), sections(page)
    for heading in headings:
        text = text.replace(parts[heading], "")
    return text


def _typed(block: Block) -> bool:
    return block.language == "sh" and "elsewhere" not in block.info


def _script(found: list[Block]) -> Iterator[str]:
    yield "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    for number, block in enumerate(found):
        if block.file:
            yield f"mkdir -p \"$(dirname '{block.file}')\"\n"
            yield f"cat > '{block.file}' <<'END-OF-BLOCK'\n{block.text}END-OF-BLOCK\n"
        elif _typed(block):
            yield f"echo '{_MARK} {number}'\n{block.text}"
    yield f"echo '{_MARK} end'\n"


def _said_by(said: str, number: int) -> str:
    return said.partition(f"{_MARK} {number}\n")[2].partition(f"\n{_MARK} ")[0]


def _assert_seen(wanted: str, said: str, page: Path) -> None:
    rest = said.splitlines()
    for line in wanted.splitlines():
        pattern = re.compile(".*".join(map(re.escape, line.split("…"))))
        place = next((place for place, one in enumerate(rest) if pattern.fullmatch(one.rstrip())), None)
        assert place is not None, f"{page.name}: {line!r} is not in what was said:\n{said}"
        rest = rest[place + 1 :]
