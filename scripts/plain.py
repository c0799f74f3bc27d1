"""`python -m scripts.plain`: the chart as plain YAML, for `kubectl apply`, rendered by the real Helm.

Helm takes minutes to build where it is missing, so what is rendered carries a digest of what it was rendered from and
one of itself: `make lint` compares these, and Helm is asked only when they differ. A component test renders anyway.
"""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from e2e.cluster import toolchain

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts" / "workerpool-operator"
PLAIN: Final = ROOT / "charts" / "plain" / "workerpool-operator.yaml"
NAMESPACE: Final = "workerpool-system"
# The Secret is made by `wpool tls`; the definitions are in crds/, so that `kubectl delete` leaves them, and with them
# all pools; what needs other kinds than Kubernetes' own is left to those who render the chart themselves.
VALUES: Final = (
    "tls.existingSecret=workerpool-operator-tls",
    "crds.install=false",
    "monitoring.enabled=false",
    "alerts.enabled=false",
    "dashboards.enabled=false",
)
_HELMS: Final = re.compile(r"^ *(?:helm\.sh/chart|app\.kubernetes\.io/managed-by: Helm|# Source: ).*\n", re.MULTILINE)
_NOT_RENDERED: Final = {"README.md", "values.schema.json", "alerts.yaml", "answers.py", "NOTES.txt"}
_HEAD: Final = """\
# The operator as plain YAML. Rendered from the chart by `make generate`: do not edit. How to install it:
# docs/how-to/install-without-helm.md
# from {inputs}, is {body}
"""
_SPACE: Final = f"""\
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def rendered(helm: Path) -> str:
    """What the file should hold."""
    settings = (word for value in VALUES for word in ("--set", value))
    command = [helm, "template", CHART.name, CHART, "--namespace", NAMESPACE, "--skip-tests", *settings]
    text = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    body = _SPACE + _HELMS.sub("", text)
    return _HEAD.format(inputs=inputs(), body=_digest(body)) + body


def inputs() -> str:
    """Digest of what the file is rendered from."""
    files = sorted(path for path in CHART.rglob("*") if path.is_file() and _counts(path.relative_to(CHART)))
    return _digest("".join(f"{path.relative_to(CHART)}\0{path.read_text('utf-8')}\0" for path in files) + repr(VALUES))


def fresh(text: str) -> bool:
    """Whether this text was rendered from what the chart is now, and is as it was rendered."""
    head, body = text[: text.find("---\n")], text[text.find("---\n") :]
    return head == _HEAD.format(inputs=inputs(), body=_digest(body))


def main() -> int:
    """Write the file, or with `--check` say by the exit status whether it has to be written."""
    text = PLAIN.read_text("utf-8") if PLAIN.is_file() else ""
    if fresh(text):
        return 0
    if "--check" in sys.argv:
        return 1
    toolchain.ensure(toolchain.HELM)
    PLAIN.write_text(rendered(toolchain.path(toolchain.HELM)), "utf-8")
    print(f"generate: wrote {PLAIN.relative_to(ROOT)}")
    return 0


def _counts(path: Path) -> bool:
    """Dashboards and definitions are not in the file; Python leaves things behind."""
    return path.name not in _NOT_RENDERED and not {"__pycache__", "dashboards", "crds", "tests"} & set(path.parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
