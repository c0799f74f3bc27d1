"""Reads a site that was built: do its links lead somewhere, and does it fetch nothing from another host?

Sphinx checks the links that it understood. This checks what came of it, as a browser would see it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_FETCHED: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
"""Element -> the attribute whose address the browser asks for by itself."""
_NOT_FETCHED: Final = {"next", "prev", "index", "search", "canonical", "author", "license", "genindex"}
"""Values of a link's `rel` that only tell of another page."""
_IN_STYLES: Final = re.compile(r"(?:url\(|@import)\s*[\"']?(?P<address>(?:[a-z]+:)?//[^\"')\s]+)")


@dataclass(slots=True)
class _Page:
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = _Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value is not None}
        self.page.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.page.links.append(found["href"])
        elif (name := _FETCHED.get(tag)) in found and not _NOT_FETCHED & set(found.get("rel", "").split()):
            self.page.fetched.append(found[name])
        if "style" in found:
            self.page.fetched += (match["address"] for match in _IN_STYLES.finditer(found["style"]))


def faults(site: Path) -> list[str]:
    """What is wrong, a line each, such as `docs/a.html: links to b.html#gone, which is not there`."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    found = [fault for path, page in pages.items() for fault in _faults(path, page, pages=pages, site=site)]
    for path in sorted(site.rglob("*.css")):
        foreign = (match["address"] for match in _IN_STYLES.finditer(path.read_text(encoding="utf-8")))
        found += [f"{path.relative_to(site)}: fetches {address}" for address in foreign]
    return found


def _read(path: Path) -> _Page:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def _faults(path: Path, page: _Page, *, pages: dict[Path, _Page], site: Path) -> Iterator[str]:
    name = path.relative_to(site)
    for link in dict.fromkeys([*page.links, *page.fetched]):
        address = urlsplit(link)
        if address.scheme or address.netloc:
            if link in page.fetched and address.scheme != "data":
                yield f"{name}: fetches {link}"
            continue
        target = (path.parent / unquote(address.path)).resolve() if address.path else path
        anchor = unquote(address.fragment)
        missing = anchor and target in pages and anchor not in pages[target].anchors
        if not target.is_file() or missing:
            yield f"{name}: links to {link}, which is not there"
