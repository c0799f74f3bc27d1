"""The documentation as a site: every page is in its navigation, and what is wrong with a site is found."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.docsite.check import faults
from scripts.docsite.pages import FOLDERS, INDEX, ROOT, all_pages, contents, navigation, without_folders

FIRST_STEPS = {"docs/how-to/first-worker.md"}
"""How-to guides that are a tutorial for those who begin."""


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return folder


class TestNavigation:
    def test_every_page_of_the_documentation_is_in_it_once(self) -> None:
        """A page that nobody can come to is no page."""
        pages = [page for page in all_pages() if page.startswith("docs/")]
        assert sorted(pages) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))

    def test_no_page_is_in_it_twice(self) -> None:
        """The site would not know where it belongs."""
        assert len(all_pages()) == len(set(all_pages()))

    def test_pages_that_are_named_are_there(self) -> None:
        """Those beside `docs/` too."""
        assert [page for page in all_pages() if not (ROOT / page).is_file()] == []

    @pytest.mark.parametrize("title", FOLDERS)
    def test_pages_of_a_folder_stand_together(self, title: str) -> None:
        """Diataxis: a folder is a kind of page, and so is a section."""
        [section] = [one for one in navigation() if one.title == title]
        of_folder = {page for page in all_pages() if page.startswith(f"{FOLDERS[title]}/")}
        assert of_folder - FIRST_STEPS <= set(section.pages)

    def test_sections_come_in_the_order_of_the_index(self) -> None:
        """Those who begin find the tutorials first."""
        titles = [section.title for section in navigation()]
        assert titles == ["Tutorials", *FOLDERS]
        assert all(f":caption: {title}" in contents() for title in titles)


@pytest.mark.parametrize("page", all_pages())
def test_rows_of_tables_are_whole(page: str) -> None:
    """One that goes on in another line ends the table there."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = text.splitlines()
    torn = [
        after
        for row, after in pairwise(lines)
        if row.startswith("|") and after.strip() and not after.startswith(("|", "<!--"))
    ]
    assert torn == []


class TestLinksToFolders:
    def test_one_becomes_words(self) -> None:
        """A site shows no folder."""
        assert without_folders("See [the SDK](../workers).", page=INDEX) == "See the SDK (`workers`)."

    def test_one_that_is_called_by_its_path_is_not_named_twice(self) -> None:
        """Else it reads as if there were two."""
        assert without_folders("See [`workers`](../workers).", page=INDEX) == "See `workers`."

    def test_links_to_files_and_hosts_stay(self) -> None:
        """Those a site can show."""
        text = "[a](tutorial.md), [b](../examples/first-pool.yaml), [c](https://example.org), [d](#reference)"
        assert without_folders(text, page=INDEX) == text


class TestCheck:
    def test_a_site_without_faults_has_none(self, tmp_path: Path) -> None:
        """Relative addresses, anchors that are there, links to other hosts that one may click or not."""
        (tmp_path / "style.css").write_text("a { background: url(data:image/png;base64,AA) }")
        head = '<link rel="stylesheet" href="style.css"><link rel="next" href="b.html">'
        body = (
            '<h2 id="top">T</h2><a href="#top">a</a> <a href="b.html#x%20y">b</a> <a href="https://example.org">c</a>'
        )
        assert faults(site(tmp_path, a=head + body, b='<h2 id="x y">X</h2><a href="mailto:a@b">m</a>')) == []

    def test_a_link_to_nothing_is_found(self, tmp_path: Path) -> None:
        """Neither page nor anchor nor picture."""
        body = '<a href="c.html">c</a><a href="#no">n</a><a href="b.html#no">b</a><img src="p.png">'
        assert faults(site(tmp_path, a=body, b="")) == [
            "a.html: links to c.html, which is not there",
            "a.html: links to #no, which is not there",
            "a.html: links to b.html#no, which is not there",
            "a.html: links to p.png, which is not there",
        ]

    @pytest.mark.parametrize(
        "body",
        [
            '<script src="https://cdn.example/a.js"></script>',
            '<link rel="stylesheet" href="//fonts.example/css">',
            '<link rel="preconnect" href="https://fonts.example">',
            '<img src="https://badges.example/a.svg">',
            '<p style="background: url(https://example.org/a.png)">x</p>',
        ],
    )
    def test_what_comes_from_another_host_is_found(self, body: str, tmp_path: Path) -> None:
        """It would tell that host who reads what, and fail behind a firewall."""
        [fault] = faults(site(tmp_path, a=body))
        assert fault.startswith("a.html: fetches ")

    @pytest.mark.parametrize("rule", ['@import "https://fonts.example/css";', "a { src: url('//fonts.example/a') }"])
    def test_fonts_of_another_host_are_found_in_styles(self, rule: str, tmp_path: Path) -> None:
        """That is where they usually are."""
        (tmp_path / "style.css").write_text(rule)
        [fault] = faults(tmp_path)
        assert fault.startswith("style.css: fetches ")
