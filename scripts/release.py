"""What a release needs beside images: is everything at this version, what is new, on what it is built, and the chart.

    python scripts/release.py check v0.2.0 --notes notes.md
    python scripts/release.py base --digest sha256:...
    python scripts/release.py chart --repository ghcr.io/acme/workerpool-operator --digest sha256:... --to FOLDER
    python scripts/release.py plain --repository ghcr.io/acme/workerpool-operator --digest sha256:... --to FILE

Nothing but the standard library, so that the workflow can run it before it installs anything.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CHART: Final = Path("charts/workerpool-operator")
PLAIN: Final = Path("charts/plain/workerpool-operator.yaml")
TAG: Final = re.compile(r"v(?P<version>\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?)")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
VERSIONS: Final = {
    "operator/workerpool_operator/__init__.py": re.compile(r'^__version__: Final = "(.+)"$', re.MULTILINE),
    "workers/pyproject.toml": re.compile(r'^version = "(.+)"$', re.MULTILINE),
    f"{CHART}/Chart.yaml (version)": re.compile(r"^version: (.+)$", re.MULTILINE),
    f"{CHART}/Chart.yaml (appVersion)": re.compile(r"^appVersion: (.+)$", re.MULTILINE),
}
"""Where the version stands; what is in brackets is no part of the path."""
_BASE: Final = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
_SECTION: Final = r"^## {version} - \d{{4}}-\d{{2}}-\d{{2}}\n(?P<text>.*?)(?=^## |\Z)"
_VALUES: Final = {"  repository: workerpool-operator\n": "repository", '  digest: ""\n': "digest"}
"""Lines of the chart's values, and what stands there in a chart that is published."""


class ReleaseError(Exception):
    """This cannot be released; the message says why."""


def notes(tag: str, *, root: Path = ROOT) -> str:
    """What the changelog says of this tag's version.

    Raises:
        ReleaseError: something is at another version, or the changelog says nothing of it.
    """
    match = TAG.fullmatch(tag)
    if not match:
        raise ReleaseError(f"{tag} is no tag of a version: write v1.2.3, or v1.2.3-rc.1")
    version = match["version"]
    others = {where: found for where, found in versions(root).items() if found != version}
    if others:
        listed = ", ".join(f"{where}: {found}" for where, found in others.items())
        raise ReleaseError(f"{tag} is tagged, but these say otherwise: {listed}")
    section = re.compile(_SECTION.format(version=re.escape(version)), re.MULTILINE | re.DOTALL)
    found = section.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if not found or not found["text"].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of it: it needs a section '## {version} - YYYY-MM-DD'")
    return found["text"].strip() + "\n"


def versions(root: Path = ROOT) -> dict[str, str]:
    """Where a version stands -> which. Raises ReleaseError where there is none."""
    found = {}
    for where, pattern in VERSIONS.items():
        match = pattern.search((root / where.split(" ")[0]).read_text(encoding="utf-8"))
        if not match:
            raise ReleaseError(f"{where} has no version")
        found[where] = match[1]
    return found


def base(*, digest: str | None = None, root: Path = ROOT) -> str:
    """The image that all of ours are built on: the one that the Dockerfiles name, and with a digest exactly that.

    Raises:
        ReleaseError: they name different ones, or one without a tag, or the digest is none.
    """
    files = [root / "Dockerfile", *sorted((root / "workers" / "reference").glob("*/Dockerfile"))]
    named = set[str]()
    for file in files:
        named.update(_BASE.findall(file.read_text(encoding="utf-8")) or [f"none in {file}"])
    if len(named) != 1:
        raise ReleaseError(f"the Dockerfiles should name one base image by 'ARG BASE=', not {', '.join(sorted(named))}")
    name = str(*named)
    if digest is None:
        return name
    if not DIGEST.fullmatch(digest):
        raise ReleaseError(f"{digest!r} is no digest of {name}: nothing is published on a base that may change")
    return f"{name}@{digest}"


def chart(*, repository: str, digest: str, to: Path, root: Path = ROOT) -> None:
    """The chart in `to`, with the image that was just built as its default, by digest.

    Raises:
        ReleaseError: the digest is none, or the values have no place for it.
    """
    if not DIGEST.fullmatch(digest):
        raise ReleaseError(f"{digest!r} is no digest")
    shutil.copytree(root / CHART, to)
    path, said = to / "values.yaml", {"repository": repository, "digest": f'"{digest}"'}
    values = path.read_text(encoding="utf-8")
    for line, key in _VALUES.items():
        if values.count(line) != 1:
            raise ReleaseError(f"the chart's values should have one line {line.strip()!r}")
        values = values.replace(line, f"  {key}: {said[key]}\n")
    path.write_text(values, encoding="utf-8")


def plain(*, repository: str, digest: str, to: Path, root: Path = ROOT) -> None:
    """The operator as plain YAML in `to`, with the image that was just built, by digest.

    Raises:
        ReleaseError: the digest is none, or the file names another image.
    """
    if not DIGEST.fullmatch(digest):
        raise ReleaseError(f"{digest!r} is no digest")
    text = (root / PLAIN).read_text(encoding="utf-8")
    image = f'"workerpool-operator:{versions(root)[f"{CHART}/Chart.yaml (appVersion)"]}"'
    if image not in text:
        raise ReleaseError(f"{PLAIN} should name the image {image}")
    to.write_text(text.replace(image, f'"{repository}@{digest}"'), encoding="utf-8")


def main() -> int:
    """Exit status: 1 if this cannot be released."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    check = commands.add_parser("check", help="is everything at the version of this tag?")
    check.add_argument("tag")
    check.add_argument("--notes", type=Path, required=True, help="file for what is new")
    on = commands.add_parser("base", help="the image that ours are built on")
    on.add_argument("--digest", help="what its tag means now")
    for name, help_text in (("chart", "the chart as it is published"), ("plain", "the same as plain YAML")):
        make = commands.add_parser(name, help=help_text)
        make.add_argument("--repository", required=True, help="of the operator's image")
        make.add_argument("--digest", required=True, help="of the operator's image")
        make.add_argument(
            "--to", type=Path, required=True, help="a folder for the chart, which must not exist yet; a file"
        )
    options = parser.parse_args()
    try:
        if options.command == "check":
            options.notes.write_text(notes(options.tag), encoding="utf-8")
        elif options.command == "base":
            print(base(digest=options.digest))
        else:
            make_it = chart if options.command == "chart" else plain
            make_it(repository=options.repository, digest=options.digest, to=options.to)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
