"""Sphinx' configuration. Its source folder is the root of the tree, so that links from page to page hold as written."""

from typing import Any, Final

from scripts.docsite.pages import INDEX, ROOT, all_pages, contents, without_folders
from workerpool_operator import __version__

_INDEX: Final = INDEX.removesuffix(".md")
_PAGES: Final = all_pages()

project = "WorkerPool"
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = _INDEX
include_patterns = list(_PAGES)
# Not a choice of pages, which is made above, but of folders that need not be walked through.
exclude_patterns = [path.name for path in ROOT.iterdir() if path.name not in {page.split("/")[0] for page in _PAGES}]
nitpicky = True
smartquotes = False  # options begin with two dashes
# Pygments knows neither Prometheus' rules with templates in them nor half a YAML file; they stay black.
suppress_warnings = ["misc.highlighting_failure"]

myst_heading_anchors = 4  # by GitHub's rule

html_theme = "furo"
html_title = f"{project} {__version__}"
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_use_index = False


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _read)


def _read(_app: Any, name: str, source: list[str]) -> None:
    """What a site shows differently from GitHub; `source` is replaced in place."""
    source[0] = without_folders(source[0], page=f"{name}.md")
    if name == _INDEX:
        source[0] += contents()
