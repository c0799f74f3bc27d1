"""`wpool lint` beside kubectl at its defaults and the real API server: the same files, the same verdict."""

import json

import pytest
from typer.testing import CliRunner

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import KubectlError, kubectl
from tests.unit.cli.test_lint import SCALARS
from workerpool_operator.cli.lint.read import documents
from workerpool_operator.cli.main import app

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

POOL = """\
apiVersion: workerpool.dev/v1alpha1
kind: WorkerPool
metadata:
  name: thumbs
spec:
  worker: {image: "thumbs:1"}
  queues:
    - name: main
      redisStream: {url: "redis://redis:6379/0", stream: s, group: g}
"""
ACCEPTED = {
    "as it stands": POOL,
    "a doubled key": POOL + "  scaling: {maxReplicas: 3, maxReplicas: 4}\n",
    "a doubled label": POOL.replace("name: thumbs\n", "name: thumbs\n  labels: {a: b, a: c}\n"),
    "an unknown field that is null": POOL + "  old: null\n",
    "a status of other types": POOL + "status: {replicas: many}\n",
    "a date as a value": POOL.replace('"thumbs:1"}', '"thumbs:1", env: [{name: SINCE, value: 2026-01-05}]}'),
    "a time of day as a value": POOL.replace('"thumbs:1"}', '"thumbs:1", env: [{name: AT, value: 12:30}]}'),
    "a whole number with an exponent": POOL + "  scaling: {maxReplicas: 1e2}\n",
    "anchors": POOL.replace('"thumbs:1"}', '"thumbs:1", env: [&a {name: A, value: b}, {<<: *a, name: B}]}'),
    "what a server writes": POOL.replace(
        "name: thumbs\n", "name: thumbs\n  creationTimestamp: null\n  generation: 2\n"
    ),
}
REFUSED = {
    "an unknown field": POOL + "  scaling: {maxReplica: 3}\n",
    "an unknown field in a list": POOL.replace("- name: main", "- name: main\n      nam: main"),
    "an unknown field of the object": POOL + "specs: {}\n",
    "an unknown field of metadata": POOL.replace("name: thumbs\n", "name: thumbs\n  label: {a: b}\n"),
    "an unknown field of the status": POOL + "status: {sizes: 3}\n",
    "an unknown field in a List": "apiVersion: v1\nkind: List\nitems: [{apiVersion: workerpool.dev/v1alpha1, "
    "kind: WorkerPool, metadata: {name: a}, spec: {worker: {image: a}, queues: [{name: a, postgres: "
    "{url: 'postgresql://a/b', queue: a}}], old: 1}}]\n",
    "a doubled key whose last value is none": POOL + "  suspend: true\n  suspend: maybe\n",
    "a label that is a number": POOL.replace("name: thumbs\n", "name: thumbs\n  labels: {a: 1}\n"),
    "a label with a space": POOL.replace("name: thumbs\n", "name: thumbs\n  labels: {a: b c}\n"),
    "an annotation with a space": POOL.replace("name: thumbs\n", "name: thumbs\n  annotations: {a b: c}\n"),
    "a name that is a number": POOL.replace("name: thumbs\n", "name: 1e3\n"),
    "a name with a dot": POOL.replace("name: thumbs\n", "name: thumbs.two\n"),
    "a name of 60": POOL.replace("name: thumbs\n", f"name: {'a' * 60}\n"),
    "no name": POOL.replace("name: thumbs\n", "generateName: thumbs-\n"),
    "a letter that is a truth": POOL.replace('"thumbs:1"', "y"),
    "an image that ends its line": POOL.replace('"thumbs:1"', '"thumbs:1\\n"'),
    "more at least than at most": POOL + "  scaling: {minReplicas: 5, maxReplicas: 2}\n",
}


def linted(text: str) -> tuple[bool, str]:
    shown = CliRunner().invoke(app, ["lint", "-"], input=text)
    return shown.exit_code == 0, shown.output


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_kubectl_applies_is_no_error(plane: ControlPlane, text: str) -> None:
    assert "created" in kubectl(plane, "apply", "--dry-run=server", "-f", "-", stdin=text)
    valid, said = linted(text)
    assert valid, said


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_an_error(plane: ControlPlane, text: str) -> None:
    with pytest.raises(KubectlError):
        kubectl(plane, "apply", "--dry-run=server", "-f", "-", stdin=text)
    valid, said = linted(text)
    assert (valid, ": error: " in said) == (False, True), said


def test_scalars_are_what_kubectl_takes_them_for(plane: ControlPlane) -> None:
    """The table that the unit tests hold the reader to, and keys."""
    table = "".join(f"  a{number}: {text}\n" for number, text in enumerate(SCALARS))
    head = "apiVersion: workerpool.dev/v1alpha1\nkind: WorkerPool\nmetadata: {name: a}\nspec:\n"
    keys = "  keys: {1: a, yes: b, 1e3: c, 1.5: d, 2026-01-05: e, x: 1, x: 2}\n"
    text = head + table + keys
    words = ("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-")
    [read] = documents(text)
    assert json.loads(kubectl(plane, *words, stdin=text))["spec"] == read.body["spec"]
    assert [read.body["spec"][f"a{number}"] for number in range(len(SCALARS))] == list(SCALARS.values())
