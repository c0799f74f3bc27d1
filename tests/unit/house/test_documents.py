"""The documents tell the truth about the tree: links lead somewhere, the map is whole, versions agree."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import workerpool_operator
from scripts.generate import NOT_IN_IMAGE

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)
PROOF = re.compile(r"`((?:(?:tests|e2e|bench)/[\w/]+|test_\w+)\.py)`")
LEFT_BEHIND = {"__pycache__", "build", "dist", "htmlcov"}
MAKE_TARGET = re.compile(r"\bmake ([a-z][a-z0-9-]*)")


def tree() -> list[Path]:
    """Every file of the tree, but for hidden folders and what tools leave behind."""
    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in LEFT_BEHIND]
        found += [Path(folder) / name for name in files]
    return sorted(found)


def pages() -> list[Path]:
    return [path for path in tree() if path.suffix == ".md"]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_tree_lead_somewhere(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert dead == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_a_heading_lead_to_one(page: Path) -> None:
    linked = [(page.parent / name if name else page, anchor) for name, anchor in ANCHOR.findall(page.read_text())]
    assert [anchor for target, anchor in linked if target.suffix == ".md" and anchor not in anchors(target)] == []


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_and_benches_that_are_named_exist(page: Path) -> None:
    """One without a folder is beside others; a word of the changelog may be of a file that is gone."""
    known = {path.name for path in tree()}
    named = [] if page.name == "CHANGELOG.md" else PROOF.findall(page.read_text())
    gone = [name for name in named if not ((ROOT / name).exists() if "/" in name else name in known)]
    assert gone == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)
    spans = re.findall(r"`(make [^`\n]+)`", page.read_text())
    named = set(MAKE_TARGET.findall("\n".join([*blocks, *spans])))
    assert named <= targets()


def test_every_page_below_docs_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert {page for page in pages() if index.parent in page.parents and page != index} <= linked


def test_the_map_of_the_house_names_every_folder_of_the_top_level() -> None:
    house = (ROOT / "CONTRIBUTING.md").read_text()
    folders = {path.relative_to(ROOT).parts[0] for path in tree() if len(path.relative_to(ROOT).parts) > 1}
    missing = {name for name in folders if f"\n{name}/" not in house}
    assert missing == set()


def test_the_map_of_the_house_names_every_package() -> None:
    house = (ROOT / "CONTRIBUTING.md").read_text()
    package = ROOT / "operator" / "workerpool_operator"
    names = {path.parent.name for path in package.glob("*/__init__.py")}
    assert {name for name in names if f"\n    {name}/" not in house} == set()


def test_every_target_that_can_be_called_is_in_make_help() -> None:
    """But those whose name says that they are a part of others."""
    makefile = (ROOT / "Makefile").read_text()
    documented = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", makefile, flags=re.MULTILINE))
    assert targets() - documented == {"setup-python", "setup-cluster"}


def test_chart_image_and_package_have_one_version() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "workerpool-operator" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == workerpool_operator.__version__


def test_the_lock_file_of_the_image_names_only_what_the_operator_needs() -> None:
    """What only the command line needs, and every tool, stays out of the image; each line is pinned by hashes."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    names = {line.split("==")[0] for line in lines if re.match(r"^[a-z0-9]", line)}
    assert not names & {*NOT_IN_IMAGE, "pytest", "ruff", "mypy", "hypothesis"}
    assert sum("--hash=sha256:" in line for line in lines) >= len(names)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {re.split(r"[\[><=! ]", line)[0] for line in declared} - {*NOT_IN_IMAGE, "workerpool"}
    assert wanted <= names
