"""A flame graph: stacks and what they weigh, as a picture, as text that other tools read, or for speedscope.

The picture follows Brendan Gregg's: a box is a function, as wide as what it weighs, above its caller; colours only tell
boxes apart. It is an SVG without scripts: names and figures are in the tooltips.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

Stacks = Mapping[str, int]
"""Microseconds by stack: its levels from the outermost on, with semicolons between them."""

WIDTH: Final = 1200
_ROW: Final = 17
_PAD: Final = 10
_HEAD: Final = 54
_LETTER: Final = 6.6
_NARROWEST: Final = 0.4
_COLOURS: Final = ("#e69f00", "#d9822b", "#f0c05a", "#cc7a3d", "#e8a860", "#f4b942", "#d98e5f")


@dataclass
class Node:
    """A function, called by its parent."""

    name: str
    weight: int = 0
    children: "dict[str, Node]" = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Levels from here on."""
        return 1 + max((child.depth for child in self.children.values()), default=0)


def tree(stacks: Stacks) -> Node:
    """All stacks, put together from their roots."""
    root = Node("all")
    for stack, weight in stacks.items():
        root.weight += weight
        node = root
        for name in stack.split(";"):
            node = node.children.setdefault(name, Node(name))
            node.weight += weight
    return root


def folded(stacks: Stacks) -> str:
    """A line per stack, as flamegraph.pl and others read it; microseconds."""
    return "".join(f"{stack} {weight}\n" for stack, weight in sorted(stacks.items()))


def speedscope(stacks: Stacks, *, title: str) -> dict[str, Any]:
    """For https://www.speedscope.app, by its file format."""
    names = sorted({name for stack in stacks for name in stack.split(";")})
    index = {name: number for number, name in enumerate(names)}
    profile = {
        "type": "sampled",
        "name": title,
        "unit": "microseconds",
        "startValue": 0,
        "endValue": sum(stacks.values()),
        "samples": [[index[name] for name in stack.split(";")] for stack in stacks],
        "weights": list(stacks.values()),
    }
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": name} for name in names]},
        "profiles": [profile],
        "name": title,
    }


def svg(stacks: Stacks, *, title: str, subtitle: str) -> str:
    """The picture."""
    root = tree(stacks)
    height = _HEAD + root.depth * _ROW + _PAD
    boxes = "".join(
        _boxes(root, x=_PAD, level=0, scale=(WIDTH - 2 * _PAD) / max(1, root.weight), height=height, of=root)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">\n<rect width="100%" height="100%" fill="#fffdf7"/>\n'
        f'<text x="{_PAD}" y="22" font-size="15" font-family="sans-serif">{escape(title)}</text>\n'
        f'<text x="{_PAD}" y="40" fill="#555" font-family="sans-serif">{escape(subtitle)}</text>\n{boxes}</svg>\n'
    )


def _boxes(node: Node, *, x: float, level: int, scale: float, height: int, of: Node) -> Iterator[str]:
    width = node.weight * scale
    if width < _NARROWEST:
        return
    y = height - _PAD - (level + 1) * _ROW
    share = f"{node.weight / 1e6:.3f} s, {100 * node.weight / max(1, of.weight):.1f} %"
    room = int((width - 6) / _LETTER)
    label = node.name if len(node.name) <= room else node.name[: max(0, room - 1)] + "…"
    colour = _COLOURS[zlib.crc32(node.name.encode()) % len(_COLOURS)] if level else "#bbbbbb"
    yield (
        f'<g><title>{escape(node.name)}: {share}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{_ROW - 1}" fill="{colour}" rx="2"/>'
    )
    if room > 2:  # noqa: PLR2004  fewer letters say nothing
        yield f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text>'
    yield "</g>\n"
    for child in sorted(node.children.values(), key=lambda one: one.name):
        yield from _boxes(child, x=x, level=level + 1, scale=scale, height=height, of=of)
        x += child.weight * scale
