"""Which pages the site has, in which order: what `docs/README.md` lists, section by section.

So there is one list to keep, and it is the one that people read on GitHub.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
INDEX: Final = "docs/README.md"
FOLDERS: Final = {
    "How-to guides": "docs/how-to",
    "Runbooks": "docs/runbooks",
    "Reference": "docs/reference",
    "Explanation": "docs/explanation",
    "Project": "docs/contributing",
}
"""Section -> the folder whose pages belong there, if it lists them."""
_SECTION: Final = re.compile(r"^## (?P<title>[^\n]+)\n(?P<text>.*?)(?=^## |\Z)", flags=re.MULTILINE | re.DOTALL)
_PAGE: Final = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]+\.md)(?:#[^)]*)?\)")
_LINK: Final = re.compile(r"\[(?P<text>[^\]]+)\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)\)")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the navigation. `pages` are paths below the root of the tree, such as `docs/how-to/hpa.md`."""

    title: str
    pages: tuple[str, ...]


def navigation() -> tuple[Section, ...]:
    """Every page but the index, each once: in the section of its folder, else in the first one that lists it."""
    listed = {
        match["title"]: tuple(dict.fromkeys(_resolved(match["text"])))
        for match in _SECTION.finditer((ROOT / INDEX).read_text(encoding="utf-8"))
    }
    homes = {page: title for title in reversed(listed) for page in listed[title]}
    homes |= {page: title for title, folder in FOLDERS.items() for page in listed[title] if page.startswith(folder)}
    return tuple(
        Section(title=title, pages=tuple(page for page in pages if homes[page] == title))
        for title, pages in listed.items()
    )


def _resolved(text: str) -> Iterator[str]:
    for match in _PAGE.finditer(text):
        yield str((ROOT / INDEX).parent.joinpath(match["path"]).resolve().relative_to(ROOT))


def all_pages() -> tuple[str, ...]:
    """The index first."""
    return (INDEX, *(page for section in navigation() for page in section.pages))


def without_folders(text: str, *, page: str) -> str:
    """The page's Markdown with links to folders of the repository as words: a site has no folders to show."""

    def word(match: re.Match[str]) -> str:
        target = (ROOT / page).parent.joinpath(match["path"]).resolve()
        if not target.is_dir():
            return match[0]
        path = f"`{target.relative_to(ROOT)}`"
        return path if match["text"].strip("`") in path else f"{match['text']} ({path})"

    return _LINK.sub(word, text)


def contents() -> str:
    """The navigation as MyST's directives, to be put at the end of the index."""
    return "\n".join(
        "\n".join(["", "```{toctree}", ":hidden:", f":caption: {section.title}", "", *_documents(section), "```"])
        for section in navigation()
    )


def _documents(section: Section) -> list[str]:
    return [f"/{page.removesuffix('.md')}" for page in section.pages]
