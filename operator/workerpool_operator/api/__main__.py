"""Writes what is generated from the models, or (`--check`) says what no longer matches them.

Usage, at the root of the tree: `python -m workerpool_operator.api [--check]`.
"""

import argparse
import sys
from pathlib import Path

from workerpool_operator.api import crd, docs


def generated(root: Path) -> dict[Path, str]:
    """Every generated file and what it should hold."""
    definitions = {root / "crds" / f"{of.name}.yaml": crd.manifest(of) for of in crd.DEFINITIONS}
    pages = {"api.md": docs.page(), "budget.md": docs.budget_page()}
    return definitions | {root / "docs" / "reference" / name: text for name, text in pages.items()}


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 1 when `--check` found a difference."""
    parser = argparse.ArgumentParser(prog="python -m workerpool_operator.api", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 on a difference")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the tree; default: the working directory")
    options = parser.parse_args(arguments)
    stale = []
    for path, text in generated(options.root).items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        sys.stderr.write(f"{'out of date' if options.check else 'wrote'}: {path}\n")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
