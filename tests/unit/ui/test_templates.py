"""Templates: what is marked as safe, and what is inline."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

FOLDER = Path(str(files("workerpool_operator.ui")))
TEMPLATES = sorted(FOLDER.glob("templates/**/*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_only_our_own_html_is_not_escaped(path: Path) -> None:
    """What a template has made; never a value."""
    text = path.read_text("utf-8")
    marked = re.findall(r"{{\s*([^}|]+?)\s*\|\s*safe", text)
    assert all(one in {"row", "table"} or one.startswith("sections.") for one in marked)
    assert "autoescape" not in text
    assert "Markup" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(path: Path) -> None:
    """As the policy of the page has it; addresses in texts are no links."""
    text = path.read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?! src=\"{{ root }}static/)", text)
    assert not re.search(r"(?:src|href|action)=\"(?!{{ root }}|#)", text)
    unquoted = r"\s(?:id|class|title|value|href|action|datetime|aria-[a-z]+|data-[a-z]+)={{"
    assert not re.search(unquoted, text)


def test_assets_are_small_and_ask_nobody_else() -> None:
    """No CDN, no build: what is served is what stands there."""
    assets = list((FOLDER / "static").iterdir())
    assert {path.name for path in assets} == {"icon.svg", "login.js", "wpool.css", "wpool.js"}
    assert sum(path.stat().st_size for path in assets) < 40_000
    for path in assets:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE) or "http" not in text
        assert "eval(" not in text
        assert "@import" not in text
