"""Builds the site and checks it: `make docs`, or `python -m scripts.docsite [--to FOLDER]`."""

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from scripts.docsite.check import faults
from scripts.docsite.pages import INDEX, ROOT, all_pages

_FORWARD = """\
<!doctype html>
<title>WorkerPool</title>
<meta http-equiv="refresh" content="0; url={page}">
<a href="{page}">Documentation</a>
"""


def build(to: Path) -> list[str]:
    """The site in `to`, which is emptied first; returns what is wrong with it.

    Raises RuntimeError where Sphinx fails.
    """
    shutil.rmtree(to, ignore_errors=True)
    config = Path(__file__).parent
    # Every warning is an error, and all are told: a page that links nowhere should not hide another one.
    options = ["-b", "html", "-c", str(config), "-d", str(to.with_name(f"{to.name}-cache")), "-E", "-W", "-q"]
    if sphinx([*options, str(ROOT), str(to)]):
        raise RuntimeError("Sphinx could not build the site: its words are above")
    (to / "index.html").write_text(_FORWARD.format(page=INDEX.replace(".md", ".html")), encoding="utf-8")
    # GitHub's pages would else leave out folders whose names begin with an underscore.
    (to / ".nojekyll").touch()
    # An alert links to the Markdown of its runbook.
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        shutil.copy(page, to / page.relative_to(ROOT))
    return faults(to)


def main() -> int:
    """Exit status: 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m scripts.docsite", description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "site", help="folder; default: build/site")
    to = parser.parse_args().to.resolve()
    try:
        found = build(to)
    except RuntimeError as error:
        found = [str(error)]
    for fault in found:
        print(f"docs: {fault}", file=sys.stderr)
    if not found:
        print(f"docs: {len(all_pages())} pages, all links lead somewhere, nothing is fetched from elsewhere: {to}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
