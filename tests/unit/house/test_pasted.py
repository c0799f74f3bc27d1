"""Pages that are said to be pasted can be: into bash and zsh, on Linux and macOS."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.pages import Block, blocks

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["tutorial.md", "how-to/game-day.md"]
HEREDOC = re.compile(r"<<'?EOF'?\n.*?^EOF$", re.DOTALL | re.MULTILINE)


def typed(page: str) -> list[Block]:
    """Also those that no test types."""
    return [block for block in blocks((DOCS / page).read_text("utf-8")) if block.language == "sh"]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_whole_commands(page: str) -> None:
    for block in typed(page):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert not done.stderr, block.text


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_typed_that_works_in_some_shells_only(page: str) -> None:
    """zsh takes a comment for words, and the sed of macOS another -i."""
    for block in typed(page):
        outside = HEREDOC.sub("", block.text)
        assert not re.search(r"(^|\s)#\s", outside), block.text
        assert "sed -i" not in outside, block.text


@pytest.mark.parametrize("page", PAGES)
def test_files_are_written_by_what_is_pasted(page: str) -> None:
    """A block that names its file tells the test what to do, and a reader nothing."""
    assert not [block.file for block in blocks((DOCS / page).read_text("utf-8")) if block.file]


@pytest.mark.parametrize("page", PAGES)
def test_the_readers_context_stays_as_it_is(page: str) -> None:
    """A namespace is chosen in a copy of the kubeconfig, by commands that come after it was made."""
    text = "".join(block.text for block in typed(page) if "elsewhere" not in block.info)
    assert text.index("config view --raw --minify --flatten > kubeconfig") < text.index(
        "export KUBECONFIG=$PWD/kubeconfig"
    )
    assert text.index("export KUBECONFIG=$PWD/kubeconfig") < text.index("config set-context")


def test_of_the_tutorial_one_word_is_left_to_replace() -> None:
    """Where the images are pushed to; on kind there is none."""
    text = "".join(block.text for block in typed("tutorial.md"))
    assert "example" not in text.replace("$WORKERPOOL/examples/", "")
    assert re.findall(r"\S*your-\S*", text) == ["REGISTRY=ghcr.io/your-name"]
