"""What the Dockerfiles of this project promise of their images: nobody is root, and what is in them is pinned.

What comes out of them is measured where images are built: `e2e/test_images.py`.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "Dockerfile", *sorted((ROOT / "workers" / "reference").glob("*/Dockerfile"))]
each = pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def instructions(file: Path) -> list[tuple[str, str]]:
    """Keyword and the rest, each on one line, without remarks."""
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(keyword, rest) for keyword, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def last_stage(file: Path) -> list[tuple[str, str]]:
    """What becomes the image."""
    found = instructions(file)
    begin = max(index for index, (keyword, _) in enumerate(found) if keyword == "FROM")
    return found[begin:]


def test_there_are_such_files() -> None:
    """Of the operator and of five workers."""
    assert len(FILES) == 6


@each
def test_it_runs_as_a_user_by_number_who_is_not_root(file: Path) -> None:
    """By name, kubelet could not tell that it is not root, and would refuse it (runAsNonRoot)."""
    *_, user = [rest for keyword, rest in last_stage(file) if keyword == "USER"]
    uid, gid = (int(part) for part in user.split(":"))
    assert uid > 0
    assert gid > 0


@each
def test_every_stage_is_built_on_the_base_that_is_given(file: Path) -> None:
    """A release gives it by its digest (`test_release`): no other image may come in beside it."""
    assert {rest.split()[0] for keyword, rest in instructions(file) if keyword == "FROM"} == {"${BASE}"}
    copied = [rest for keyword, rest in instructions(file) if keyword == "COPY" and "--from=" in rest]
    assert all(rest.startswith("--from=dependencies ") for rest in copied)


@each
def test_packages_come_by_their_hashes_alone(file: Path) -> None:
    """And neither pip nor anything else fetches from elsewhere."""
    runs = " ".join(rest for keyword, rest in instructions(file) if keyword == "RUN")
    assert runs.count(" install ") == runs.count("--require-hashes") == 1
    assert not re.search(r"\b(curl|wget|apt-get|apk|git)\b", runs)
    assert not [rest for keyword, rest in instructions(file) if keyword == "ADD"]


@each
def test_what_only_the_build_needs_stays_in_its_stage(file: Path) -> None:
    """The environment is copied without pip, and the last stage installs nothing."""
    runs = " ".join(rest for keyword, rest in last_stage(file) if keyword == "RUN")
    assert "pip" not in runs
    created = " ".join(rest for keyword, rest in instructions(file) if keyword == "RUN")
    assert "venv --without-pip /opt/venv" in created
