"""A page that says what is not so is found out."""

from pathlib import Path

import pytest

from tests.support.pages import play, sections

pytestmark = pytest.mark.component

PAGE = """# A page

```sh
echo one; echo "two of $NAME"
sleep 60 &
```
```text
one
two…
```

```python file=pkg/half.py
print(1)
```

```sh
python3 pkg/half.py
```
```text
{said}
```

```sh elsewhere
kubectl get pods
```
"""


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, "utf-8")
    return path


def test_a_page_that_is_true_is_played_to_its_end(tmp_path: Path) -> None:
    """And what it started in the background ends with it."""
    play(page(tmp_path, PAGE.format(said="1")), tmp_path, env={"NAME": "us"})


def test_sections_that_cannot_be_typed_here_are_left_out(tmp_path: Path) -> None:
    text = "## One\n\n```sh\necho one > seen\n```\n\n## Two\n\n```sh\nfalse\n```\n"
    play(page(tmp_path, text), tmp_path, env={}, without=["Two"])
    assert (tmp_path / "work" / "seen").read_text("utf-8") == "one\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PAGE.format(said="2"), "'2' is not in what was said"),
        (PAGE.format(said="1").replace("two…", "two of them"), "'two of them' is not in what was said"),
        (PAGE.format(said="1").replace("two…", "zero"), "'zero' is not in what was said"),
        (PAGE.format(said="1").replace("echo one", "false"), "status 1"),
        ("# nothing to type", "has no commands"),
    ],
)
def test_a_page_that_is_not_is_told(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=why):
        play(page(tmp_path, text), tmp_path, env={"NAME": "us"})


SECTIONS = """# A page

## One way

```sh
echo one
```

## No way

```sh elsewhere
false
```

## Another way

```sh
echo another
```
```text
one
```
"""


def test_a_section_is_played_by_itself(tmp_path: Path) -> None:
    """What another section would do, or gets wrong, does not matter to it."""
    found = page(tmp_path, SECTIONS)
    assert list(sections(found)) == ["One way", "Another way"]
    play(found, tmp_path, env={}, section="One way")


def test_a_section_that_is_not_true_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="'one' is not in what was said"):
        play(page(tmp_path, SECTIONS), tmp_path, env={}, section="Another way")


def test_a_program_that_does_not_compile_is_told(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError):
        play(page(tmp_path, PAGE.format(said="1").replace("print(1)", "print(")), tmp_path, env={"NAME": "us"})
