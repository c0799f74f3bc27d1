"""How a version is published, as far as it can be checked without GitHub: rights, signatures, versions, the chart."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.release import CHART, PLAIN, ROOT, VERSIONS, ReleaseError, base, chart, notes, plain, versions

WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
TEXT = (ROOT / ".github" / "workflows" / "release.yaml").read_text()
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
SIGNING = {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"}
DIGEST = "sha256:" + "0a" * 32
ON = True
"""What YAML 1.1 makes of the word `on`."""


def uses(job: str, action: str) -> list[dict[str, Any]]:
    return [step for step in JOBS[job]["steps"] if step.get("uses", "").startswith(f"{action}@")]


def commands(job: str) -> str:
    return "\n".join(step["run"] for step in JOBS[job]["steps"] if "run" in step)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What a release looks at, ready to be released."""
    for where in VERSIONS:
        path = where.split(" ")[0]
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(ROOT / CHART, tmp_path / CHART, dirs_exist_ok=True)
    version = next(iter(versions(tmp_path).values()))
    sections = ("Unreleased\n\n- later", f"{version} - 2030-01-31\n\n- new", "0.0.1 - 2029-01-31\n\n- old")
    (tmp_path / "CHANGELOG.md").write_text("".join(f"## {section}\n\n" for section in sections))
    return tmp_path


class TestWorkflow:
    def test_begins_with_a_tag_and_with_nothing_else(self) -> None:
        """No branch, no pull request, no button publishes anything."""
        assert WORKFLOW[ON] == {"push": {"tags": ["v*"]}}

    def test_each_job_may_do_what_it_does_and_no_more(self) -> None:
        """Who signs cannot write to the repository; who makes the release cannot sign."""
        granted = {name: job.get("permissions") for name, job in JOBS.items()}
        assert granted == {"check": None, "images": SIGNING, "chart": SIGNING, "publish": {"contents": "write"}}

    def test_needs_no_secret_of_the_project(self) -> None:
        """Signatures are keyless: there is no key to steal."""
        assert {word.split("}")[0].strip() for word in TEXT.split("secrets.")[1:]} == {"GITHUB_TOKEN"}

    def test_nothing_is_built_before_versions_lint_and_tests_are_checked(self) -> None:
        """And nothing is published before everything is built."""
        said = commands("check")
        assert all(command in said for command in ("scripts/release.py check", "make lint", "make test-unit"))
        assert JOBS["images"]["needs"] == "check"
        assert JOBS["chart"]["needs"] == "images"
        assert JOBS["publish"]["needs"] == ["check", "images", "chart"]

    def test_images_are_built_with_what_is_in_them_and_where_they_came_from(self) -> None:
        """By BuildKit beside the image, by GitHub's attestation, and as a file of the release."""
        [build] = uses("images", "docker/build-push-action")
        assert (build["with"]["sbom"], build["with"]["provenance"]) == (True, "mode=max")
        [attested] = uses("images", "actions/attest-build-provenance")
        assert attested["with"]["push-to-registry"] is True
        assert len(uses("images", "anchore/sbom-action")) == 1

    def test_all_images_are_built_on_one_base_by_its_digest(self) -> None:
        """Asked once; written into the image, and into the release."""
        asked = commands("check")
        assert 'scripts/release.py base --digest "$digest" > dist/base-image.txt' in asked
        outputs = JOBS["check"]["outputs"]
        assert outputs == {"base": "${{ steps.base.outputs.name }}", "base-digest": "${{ steps.base.outputs.digest }}"}
        [build] = uses("images", "docker/build-push-action")
        name, digest = "${{ needs.check.outputs.base }}", "${{ needs.check.outputs.base-digest }}"
        assert build["with"]["build-args"] == f"BASE={name}@{digest}"
        labels = build["with"]["labels"].splitlines()
        assert f"org.opencontainers.image.base.name={name}" in labels
        assert f"org.opencontainers.image.base.digest={digest}" in labels

    def test_what_is_signed_is_named_by_its_digest(self) -> None:
        """A tag may be moved between push and signature."""
        [signing] = [step for step in JOBS["images"]["steps"] if "cosign sign" in step.get("run", "")]
        assert signing["env"]["SUBJECT"].endswith("@${{ steps.build.outputs.digest }}")
        assert 'cosign sign --yes "$SUBJECT"' in signing["run"]
        assert '@${digest:?helm told no digest}"' in commands("chart")

    def test_every_image_that_examples_name_is_built(self) -> None:
        """From a Dockerfile that is there."""
        built = {one["image"]: one["file"] for one in JOBS["images"]["strategy"]["matrix"]["include"]}
        assert all((ROOT / file).is_file() for file in built.values())
        texts = "".join(path.read_text() for path in (ROOT / "examples").rglob("*.yaml"))
        named = {re.split(r"[:\s]", word)[0] for word in texts.split("registry.example/")[1:]}
        assert {name for name in named if name.startswith("workerpool-")} <= built.keys()


class TestBase:
    def test_all_dockerfiles_name_the_same_one(self) -> None:
        """By a tag, which means the latest fixes to whoever builds."""
        assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim", base())
        assert base(digest=DIGEST) == f"{base()}@{DIGEST}"

    @pytest.mark.parametrize("digest", ["", "latest", "sha256:0a", f"{DIGEST}0", f"{DIGEST}\n"])
    def test_what_is_no_digest_is_refused(self, digest: str) -> None:
        """A registry that did not answer gives an empty one."""
        with pytest.raises(ReleaseError, match="no digest"):
            base(digest=digest)

    @pytest.mark.parametrize("line", ["ARG BASE=docker.io/library/python:3.13-slim", "FROM python:3"])
    def test_another_base_in_one_of_them_is_refused(self, line: str, tmp_path: Path) -> None:
        """It would be built on what nobody looked up."""
        for name, text in (("Dockerfile", f"ARG BASE={base()}\n"), ("workers/reference/io/Dockerfile", f"{line}\n")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        with pytest.raises(ReleaseError, match="one base image"):
            base(root=tmp_path)


class TestVersions:
    def test_everything_in_the_tree_is_at_one_version(self) -> None:
        """Package, SDK, chart and the image that it names."""
        assert len(set(versions().values())) == 1

    def test_the_notes_are_what_the_changelog_says_of_this_version(self, tree: Path) -> None:
        """Neither what comes later nor what was before."""
        tag = "v" + next(iter(versions(tree).values()))
        assert notes(tag, root=tree) == "- new\n"

    @pytest.mark.parametrize("tag", ["0.1.0", "v1", "v1.2", "v1.2.3.4", "v1.2.3-beta", "latest"])
    def test_a_tag_that_is_no_version_is_refused(self, tag: str, tree: Path) -> None:
        """It could not be compared with anything."""
        with pytest.raises(ReleaseError, match="no tag of a version"):
            notes(tag, root=tree)

    def test_a_tag_of_another_version_is_refused_with_what_disagrees(self, tree: Path) -> None:
        """Somebody forgot to raise the version."""
        with pytest.raises(ReleaseError, match="pyproject"):
            notes("v99.0.0", root=tree)

    @pytest.mark.parametrize("log", ["## Unreleased\n\n- new\n", "## {} - 2030-01-31\n\n## 0.0.1"])
    def test_a_version_of_which_the_changelog_says_nothing_is_refused(self, log: str, tree: Path) -> None:
        """Users would not know what it brings."""
        version = next(iter(versions(tree).values()))
        (tree / "CHANGELOG.md").write_text(log.format(version))
        with pytest.raises(ReleaseError, match="says nothing of it"):
            notes(f"v{version}", root=tree)


class TestChart:
    def test_the_published_chart_has_the_image_that_was_built_by_its_digest(self, tmp_path: Path) -> None:
        """Whoever installs it gets exactly that image, and nothing else of the chart differs."""
        to = tmp_path / "chart"
        chart(repository="ghcr.io/acme/workerpool-operator", digest=DIGEST, to=to)
        said, before = (yaml.safe_load((folder / "values.yaml").read_text()) for folder in (to, ROOT / CHART))
        image = {"repository": "ghcr.io/acme/workerpool-operator", "digest": DIGEST}
        assert said == before | {"image": before["image"] | image}

    def test_what_is_no_digest_is_refused(self, tmp_path: Path) -> None:
        """An empty one would be a chart that names no image."""
        with pytest.raises(ReleaseError, match="no digest"):
            chart(repository="r", digest="", to=tmp_path / "chart")

    def test_values_without_a_place_for_the_digest_are_refused(self, tree: Path, tmp_path: Path) -> None:
        """Somebody moved the line: the image would not be pinned, and nobody would notice."""
        path = tree / CHART / "values.yaml"
        path.write_text(path.read_text().replace('  digest: ""\n', "  digest:\n"))
        with pytest.raises(ReleaseError, match="digest"):
            chart(repository="r", digest=DIGEST, to=tmp_path / "chart", root=tree)


class TestPlain:
    def test_each_image_of_the_plain_file_is_the_one_that_was_built(self, tmp_path: Path) -> None:
        """That of the operator, and that of the collectors which it makes; nothing else differs."""
        to = tmp_path / "plain.yaml"
        plain(repository="ghcr.io/acme/workerpool-operator", digest=DIGEST, to=to)
        built = f"ghcr.io/acme/workerpool-operator@{DIGEST}"
        assert to.read_text().count(built) == 2
        named = f"workerpool-operator:{next(iter(versions().values()))}"
        assert to.read_text() == (ROOT / PLAIN).read_text().replace(named, built)

    def test_a_file_that_names_another_image_is_refused(self, tree: Path, tmp_path: Path) -> None:
        """It would be published with an image that nobody can pull."""
        (tree / PLAIN).parent.mkdir(parents=True, exist_ok=True)
        (tree / PLAIN).write_text('image: "somebody-else:1"')
        with pytest.raises(ReleaseError, match="should name the image"):
            plain(repository="r", digest=DIGEST, to=tmp_path / "plain.yaml", root=tree)

    def test_what_is_no_digest_is_refused(self, tmp_path: Path) -> None:
        """As for the chart."""
        with pytest.raises(ReleaseError, match="no digest"):
            plain(repository="r", digest="latest", to=tmp_path / "plain.yaml")
