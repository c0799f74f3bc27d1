"""A flame graph has each function as wide as what it weighs."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from workerpool_operator.cli.look import flame

STACKS = {
    "worker 1;main;resize": 600_000,
    "worker 1;main;resize;<lambda> & co": 200_000,
    "worker 1;main": 100_000,
    "worker 2;main": 100_000,
}


def test_stacks_are_put_together_from_their_roots() -> None:
    root = flame.tree(STACKS)
    assert root.weight == 1_000_000
    assert {name: child.weight for name, child in root.children.items()} == {"worker 1": 900_000, "worker 2": 100_000}
    main = root.children["worker 1"].children["main"]
    assert (main.weight, main.children["resize"].weight) == (900_000, 800_000)
    assert root.depth == 5


def boxes(picture: str) -> dict[str, list[dict[str, float]]]:
    """Of each function, by the text of its tooltip up to the colon."""
    found: dict[str, list[dict[str, float]]] = {}
    svg = "{http://www.w3.org/2000/svg}"
    for group in ET.fromstring(picture).iter(f"{svg}g"):
        title, rect = group.find(f"{svg}title"), group.find(f"{svg}rect")
        assert title is not None
        assert rect is not None
        name = str(title.text).rpartition(": ")[0]
        found.setdefault(name, []).append({key: float(rect.attrib[key]) for key in ("x", "y", "width")})
    return found


def test_the_picture_has_a_box_for_each_function_above_its_caller_and_within_it() -> None:
    found = boxes(flame.svg(STACKS, title="a <pod>", subtitle="1 s & more"))
    [everything], [one], [other] = found["all"], found["worker 1"], found["worker 2"]
    assert one["width"] == pytest.approx(0.9 * everything["width"], abs=0.2)
    assert other["x"] == pytest.approx(one["x"] + one["width"], abs=0.2)
    [resize], [inner] = found["resize"], found["<lambda> & co"]
    assert inner["y"] < resize["y"] < one["y"] < everything["y"]
    assert resize["x"] <= inner["x"] <= inner["x"] + inner["width"] <= resize["x"] + resize["width"] + 0.2


def test_what_is_too_narrow_to_be_seen_is_left_out() -> None:
    found = boxes(flame.svg({"a": 10_000_000, "b": 1}, title="t", subtitle=""))
    assert found.keys() == {"all", "a"}


def test_other_tools_read_the_same_figures() -> None:
    lines = flame.folded(STACKS).splitlines()
    assert {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in lines} == STACKS
    file: dict[str, Any] = flame.speedscope(STACKS, title="t")
    [profile] = file["profiles"]
    names = [frame["name"] for frame in file["shared"]["frames"]]
    stacks = [";".join(names[index] for index in sample) for sample in profile["samples"]]
    assert dict(zip(stacks, profile["weights"], strict=True)) == STACKS
    assert profile["endValue"] == 1_000_000
