"""Exit codes at a real API server, held against what each command's own help says of them."""

import re
from pathlib import Path

import pytest
import typer

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_somebody, wpool
from tests.support.pools import pool_body
from tests.support.selectors import ACCEPTED, REFUSED
from workerpool_operator.cli.adopt.queues import EXAMPLE
from workerpool_operator.cli.main import app
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"

NONE = [
    "get",
    "get -o wide",
    "get -o json",
    "get -o yaml",
    "get -o name",
    "get -l team=media",
    "get -l team=media -o json",
    "events",
    "events -o json",
    "top",
]
"""In a namespace without pools: answered, and there is nothing."""
NOTHING = [
    "events thumbs",
    "logs thumbs",
    "logs thumbs -o json",
    "top thumbs",
    "rollout get thumbs",
    "rollout history thumbs",
    "rollout status thumbs",
    "rollout promote thumbs",
    "rollout promote thumbs --full --yes",
    "rollout undo thumbs --yes",
]
"""Of a pool that the operator has not seen, and whose versions are not tried."""
SHOWN = [
    "get",
    "get thumbs -o json",
    "get -o json",
    "get -o name",
    "get -l !team",
    "describe thumbs",
    "explain thumbs",
    "stop thumbs --yes",
    "stop thumbs --dry-run",
    "start thumbs",
    "restart thumbs --yes",
]
WRONG = [
    "get -l ???",
    "get -l ??? -o json",
    "get thumbs -l team=media",
    "get -w",
    "get -o xml",
    "get ..",
    "events thumbs -A",
    "logs thumbs --level loud",
    "job status thumbs 7 --since yesterday",
    "rollout status thumbs --timeout -1",
    "stop",
    "stop thumbs",
    "rollout undo thumbs",
]
AWAY = [
    "get nobody",
    "get nobody -o json",
    "get --context nowhere",
    "describe nobody",
    "explain nobody",
    "events nobody",
    "logs nobody",
    "top nobody",
    "job status nobody 7",
    "rollout get nobody",
    "rollout history nobody",
    "rollout status nobody",
    "rollout promote nobody",
    "stop nobody --yes",
    "restart nobody --yes",
]


def told(words: str) -> str:
    """What the command, or the one above it, says of its exit codes, in its help as in the reference."""
    names = words.split()
    command = typer.main.get_command(app)
    texts = []
    for name in names:
        command = getattr(command, "commands", {}).get(name, command)
        texts.append(" ".join((command.help or "").split()))
    found = next(text.partition("Exit codes: ")[2] for text in reversed(texts) if "Exit codes: " in text)
    assert found in " ".join(REFERENCE.read_text("utf-8").split()), "make generate"
    return found


@pytest.mark.parametrize(
    ("words", "code"),
    [(words, 1) for words in NONE]
    + [(f"{words} POOL", 1) for words in NOTHING]
    + [(f"{words} POOL", 0) for words in SHOWN]
    + [(words, 2) for words in WRONG]
    + [(words, 3) for words in AWAY],
)
async def test_a_command_ends_with_the_code_that_it_says(
    plane: ControlPlane, kube: Kube, namespace: str, words: str, code: int
) -> None:
    """Also where programs read what it shows, and with a reason on standard error."""
    if words.endswith(" POOL"):
        await kube.create(pool_body(namespace=namespace, rollout={"strategy": "Rolling"}))
    given = words.removesuffix(" POOL").split()
    place = [] if words.startswith("get --context") else ["--namespace", namespace]
    shown = await wpool(plane, *given, *place)
    assert shown.returncode == code, shown.stderr
    assert bool(shown.stderr) == (code > 0)
    assert re.search(rf"(^|; ){code} ", told(words)), f"nothing is said of {code}"


@pytest.mark.parametrize(
    "words",
    [
        *("get", "get thumbs", "get -o json", "top", "events", "describe thumbs", "logs thumbs", "stop thumbs --yes"),
        *("dlq list thumbs", "job status thumbs 7", "rollout status thumbs", "rollout history thumbs"),
    ],
)
async def test_a_namespace_that_there_is_none_of_is_said(plane: ControlPlane, words: str) -> None:
    """Not that it has no pools: whoever mistyped it looks for them for long."""
    shown = await wpool(plane, *words.split(), "--namespace", "nowhere")
    assert (shown.returncode, shown.stdout) == (3, "")
    assert "there is no namespace nowhere: `kubectl get namespaces` shows those that there are" in shown.stderr


async def test_who_may_not_see_namespaces_hears_of_pools_only(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    own = of_somebody(plane, namespace, tmp_path, verbs="get,list", resource="workerpools")
    shown = await wpool(plane, "get", kubeconfig=own)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "no pools in this namespace" in shown.stderr


async def test_what_is_missing_is_not_always_a_pool(plane: ControlPlane, namespace: str) -> None:
    """The advice is about what was asked for."""
    shown = await wpool(plane, "adopt", "deployment/nobody", "--queue", EXAMPLE, "-n", namespace)
    assert shown.returncode == 3
    assert "`kubectl get deployments --all-namespaces` shows those that there are" in shown.stderr
    assert "pools that there are" not in shown.stderr


async def test_an_empty_list_is_still_one(plane: ControlPlane, namespace: str) -> None:
    """For who reads it by a program."""
    assert '"items": []' in (await wpool(plane, "get", "-o", "json", "-n", namespace)).stdout
    assert "items: []" in (await wpool(plane, "get", "-o", "yaml", "-n", namespace)).stdout


async def test_selectors_are_told_right_and_wrong_as_by_the_api_server(access: ClusterAccess, namespace: str) -> None:
    """The table that the command's own reading is held against."""
    async with Kube(access) as kube:
        for selector in ACCEPTED:
            await kube.list(kinds.WORKER_POOL, namespace=namespace, label_selector=selector).all()
        for selector in REFUSED:
            with pytest.raises(errors.Invalid):
                await kube.list(kinds.WORKER_POOL, namespace=namespace, label_selector=selector).all()
