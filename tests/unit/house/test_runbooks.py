"""The commands of the runbooks, those within sentences too: of words that there are, and of the pool that is meant.

Whoever is on call pastes them, with the names filled in, into a shell whose current namespace is any. Those in blocks
are typed on real pods by e2e/test_runbooks.py; most of what changes something stands in a sentence.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.cli.test_commands import FOUND, WORDS
from workerpool_operator.cli.chaos.table import SCENARIOS

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN: Final = re.compile(r"`((?:wpool|kubectl)\s[^`]+)`")
ABOUT_ONE: Final = re.compile(r"\b(POOL|POD)\b")
WHERE: Final = re.compile(r"(-n|--namespace) NAMESPACE\b|/namespaces/NAMESPACE/")
VALUES: Final = {"POOL": "thumbs", "POD": "thumbs-1", "NAMESPACE": "media", "NODE": "node-1"}
NUMBERS: Final = ("RATE", "N", "SECONDS")
KUBECTL: Final = {
    "annotate": {"--overwrite"},
    "delete": set[str](),
    "describe": {"-l"},
    "drain": set[str](),
    "get": {"-l", "-o", "--all-namespaces", "--field-selector", "--raw", "--show-managed-fields"},
    "logs": {"-l", "--prefix", "--previous", "--tail"},
    "scale": {"--replicas"},
    "top": set[str](),
}
"""What the runbooks use of it: verb -> options, beside the namespace."""


def commands(page: Path) -> Iterator[str]:
    """Each on one line, without remarks and what its output goes into."""
    text = page.read_text("utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    spans = SPAN.findall(re.sub(r"^```.*$", "", BLOCK.sub("", text), flags=re.MULTILINE))
    for one in [*lines, *spans]:
        found = " ".join(re.split(r"\s#|\s[|>]\s", one)[0].split())
        if found.startswith(("wpool ", "kubectl ")):
            yield found


ALL: Final = sorted({(page.name, command) for page in PAGES for command in commands(page)})
OF_WPOOL: Final = [(page, command) for page, command in ALL if command.startswith("wpool ")]
OF_KUBECTL: Final = [(page, command) for page, command in ALL if command.startswith("kubectl ")]


def test_there_are_some() -> None:
    """A pattern that finds nothing would find no fault either."""
    assert len(OF_WPOOL) > 60
    assert {command.split()[1] for _, command in OF_WPOOL} >= {"chaos", "explain", "rollout", "throttle"}
    assert len(OF_KUBECTL) > 25


@pytest.mark.parametrize(("page", "command"), [one for one in ALL if ABOUT_ONE.search(one[1])])
def test_a_command_about_a_pool_says_in_which_namespace(page: str, command: str) -> None:
    """Else it finds none, or changes another one of that name."""
    assert WHERE.search(command), page


@pytest.mark.parametrize(("page", "command"), OF_WPOOL)
def test_a_command_of_wpool_is_one_that_it_takes(page: str, command: str) -> None:
    """With a pool it is typed as it stands; without, it only names what there is."""
    words = [_filled(word) for word in shlex.split(command)[1:]]
    names = max((one for one in WORDS if tuple(words[: len(one)]) == one), key=len, default=())
    assert names, page
    rest, found = words[len(names) :], FOUND[names]
    known = {"--help", *(option for one in found.params for option in (*one.opts, *one.secondary_opts))}
    assert {word for word in rest if word.startswith("-") and not word.lstrip("-").isdigit()} <= known, page
    if names == ("chaos",) and rest:
        assert rest[0] in SCENARIOS, page
    if ABOUT_ONE.search(command):
        _parse(found, names, rest)


@pytest.mark.parametrize(("page", "command"), OF_KUBECTL)
def test_a_command_of_kubectl_is_one_that_can_be_typed_again(page: str, command: str) -> None:
    """Of verbs and options that it has; an annotation is written over, and taken away by its name."""
    words = shlex.split(re.sub(r"(-n|--namespace) \S+", "", command))[1:]
    verb, options = words[0], {word.partition("=")[0] for word in words if word.startswith("-")}
    assert verb in KUBECTL, page
    assert options <= KUBECTL[verb], page
    if verb == "annotate":
        assert "--overwrite" in options or words[-1].endswith("-"), page


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: str(page.relative_to(ROOT)))
def test_logs_are_those_of_all_replicas(page: Path) -> None:
    """Of a Deployment kubectl picks one pod: of the operator's two it may be the one that does not lead."""
    assert not re.search(r"kubectl [^\n|]*logs [^\n|]*deploy(ment)?/workerpool-", page.read_text("utf-8"))


def _filled(word: str) -> str:
    return "30" if word in NUMBERS else VALUES.get(word, word)


def _parse(found: Any, names: tuple[str, ...], words: list[str]) -> None:
    """As the program does before it begins; it raises what it would say."""
    found.make_context(" ".join(names), list(words))
