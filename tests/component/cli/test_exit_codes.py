"""Exit codes at a real API server, held against what each command's own help says of them."""

import re
from pathlib import Path

import pytest
import typer

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool
from tests.support.pools import pool_body
from tests.support.selectors import ACCEPTED, REFUSED
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
