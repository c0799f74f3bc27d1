"""Writes every generated file of the tree, or (`--check`) says which of them no longer match their source.

| File | Made from |
|---|---|
| `crds/`, `docs/reference/api.md` | the pydantic models in `workerpool_operator.api` |
| `templates/crds/` of the chart | `crds/` |
| `docs/reference/metrics.md` | the help texts of operator, collector and worker |
| `docs/reference/cli.md` | the help texts of the commands |
| `docs/reference/alerts.md` | the rules of the chart, and those that the operator makes for a pool |
| `docs/reference/events.md` | the events in the code, and what their reasons mean |
| `requirements.lock`, `workers/reference/**/requirements.lock` | `uv.lock`: what the images install, with hashes |
| `dashboards/` of the chart | `scripts/dashboards` |
| the table of values in the chart's README | `values.yaml` and its comments |
| `charts/plain/` | the chart, by Helm (built where it is missing) when the chart is another one than was rendered |
| the table of attacks in `docs/explanation/threats.md` | the tests that play them |

Nothing here is edited by hand; a difference is a failed `make lint`.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "workerpool-operator"
THREATS = ROOT / "docs" / "explanation" / "threats.md"
MODELS = ("-m", "workerpool_operator.api")
PLAIN = ("-m", "scripts.plain")
TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)
ATTACKS = re.compile(r"(?<=<!-- attacks -->\n).*?(?=<!-- /attacks -->)", re.DOTALL)
VALUE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):(?: (?P<value>.*))?$")
# The image runs the operator, the collector and the page, not `wpool lint`. Import contracts hold them to it.
NOT_IN_IMAGE = ("common-expression-language",)
OPERATOR = tuple(word for name in NOT_IN_IMAGE for word in ("--prune", name))
_EXTRAS = ("redis", "nats", "postgres", "rabbitmq", "kafka", "http")
WORKERS = ("--package", "workerpool", *(word for extra in _EXTRAS for word in ("--extra", extra)))
BARE_WORKER = ("--package", "workerpool", "--only-group", "bare")
KEEP = """\
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""


def requirements(*choice: str) -> str:
    """An image's dependencies, pinned and hashed. Fails if `uv.lock` is out of date."""
    command = ["uv", "export", "--locked", "--no-dev", "--no-emit-workspace", "--no-header", "--no-annotate", *choice]
    exported = subprocess.run(
        [*command, "--format", "requirements-txt"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return "# Generated from uv.lock by `make generate`. What the image installs.\n" + exported.stdout


def dashboards() -> dict[str, str]:
    """Grafana's dashboards, by the name of their file."""
    command = [sys.executable, "-m", "scripts.dashboards"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = json.loads(printed)
    return found


def page(script: str) -> str:
    """A reference page that a script of its own prints."""
    command = [sys.executable, f"scripts/{script}"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def chart_crd(manifest: str) -> str:
    """A CRD as a template of the chart: with its two switches, and its braces kept from Helm."""
    text = manifest.replace("{{", "{{ `{{` }}").replace("metadata:\n", f"metadata:\n{KEEP}", 1)
    return f"{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"


def chart_readme() -> str:
    """The chart's README with its table of values drawn up anew."""
    rows = [f"| `{key}` | `{default}` | {text} |" for key, default, text in documented_values()]
    table = "\n".join(["| Value | Default | Meaning |", "|---|---|---|", *rows]) + "\n"
    return TABLE.sub(lambda _: table, (CHART / "README.md").read_text())


def threats() -> str:
    """The page of threats with its table of attacks drawn up anew."""
    table = page("attacks_page.py")
    return ATTACKS.sub(lambda _: table, THREATS.read_text())


def documented_values() -> Iterator[tuple[str, str, str]]:
    """(dotted key, default, meaning) of each value in `values.yaml` that carries a `# -- ` comment above it."""
    path: list[str] = []
    comment: list[str] = []
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            comment = [text.removeprefix("# -- ")]
        elif text.startswith("# ") and comment:
            comment.append(text.removeprefix("# "))
        elif match := VALUE.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                yield ".".join(path), match["value"] or "see values.yaml", " ".join(comment)
            comment = []


def generated() -> Iterator[tuple[Path, str]]:
    """Each file that is made here, and what it should hold; after the models have written theirs."""
    yield ROOT / "requirements.lock", requirements(*OPERATOR)
    yield ROOT / "workers" / "reference" / "requirements.lock", requirements(*WORKERS)
    yield ROOT / "workers" / "reference" / "bare" / "requirements.lock", requirements(*BARE_WORKER)
    for name in ("cpu", "threads"):
        yield ROOT / "workers" / "reference" / name / "requirements.lock", requirements(*WORKERS, "--group", name)
    yield CHART / "README.md", chart_readme()
    for name in ("alerts", "cli", "events", "metrics"):
        yield ROOT / "docs" / "reference" / f"{name}.md", page(f"{name}_page.py")
    yield THREATS, threats()
    for name, text in dashboards().items():
        yield CHART / "dashboards" / name, text
    for crd in sorted((ROOT / "crds").glob("*.yaml")):
        yield CHART / "templates" / "crds" / crd.name, chart_crd(crd.read_text())


def write_or_compare(path: Path, text: str, *, check: bool) -> bool:
    """True if the file already held the text."""
    same = path.is_file() and path.read_text() == text
    if not same and not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"generate: wrote {path.relative_to(ROOT)}")
    return same


def main() -> int:
    """Exit status: 1 if `--check` found a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 on a difference")
    check = parser.parse_args().check

    stale = []
    models = subprocess.run([sys.executable, *MODELS, *(["--check"] if check else [])], cwd=ROOT, check=False)
    if models.returncode:
        stale.append("what comes from the models")
    for path, text in generated():
        if not write_or_compare(path, text, check=check) and check:
            stale.append(str(path.relative_to(ROOT)))
    if subprocess.run([sys.executable, *PLAIN, *(["--check"] if check else [])], cwd=ROOT, check=False).returncode:
        stale.append("charts/plain")
    if stale:
        print(f"generate: out of date: {', '.join(stale)}; run `make generate`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
