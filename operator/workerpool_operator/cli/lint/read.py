"""Documents in YAML, read as kubectl reads them.

kubectl's YAML is Go's yaml.v2, which differs from PyYAML where a scalar has no quotes: `y` is true, `1e3` a number,
and `2026-01-05` and `12:30` are text. Keys that are no text become text, as JSON has no others. A key that is there
twice is no error to kubectl (seen with 1.32 and 1.36, at the client and at the server): the last one counts and
nothing is said, while kustomize refuses the file. So it is told here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from workerpool_operator.cli.lint.fault import Fault

_TAG: Final = "tag:yaml.org,2002:"
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset(
    {"y", "Y"} | {cased for word in ("yes", "on", "true") for cased in (word, word.title(), word.upper())}
)
_FALSE: Final = frozenset(
    {"n", "N"} | {cased for word in ("no", "off", "false") for cased in (word, word.title(), word.upper())}
)
_TWICE: Final = "kubectl takes the last one without a word, kustomize refuses the file"
_WHOLE: Final = re.compile(r"[-+]?(0x[0-9a-f]+|0b[01]+|0o[0-7]+|0[0-7]*|[1-9][0-9]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An object of a file."""

    body: Mapping[str, Any]
    doubled: tuple[Fault, ...] = ()
    """Keys that are there more than once."""


def documents(text: str) -> Iterator[Document]:
    """The documents that are objects, those of a List one by one.

    Raises:
        yaml.YAMLError: it is none, or one that contains itself.
        RecursionError: it is too deep.
    """
    reader = _Reader(text)
    try:
        while reader.check_node():
            node = reader.get_node()
            if node is None:
                return
            doubled = tuple(_doubled(reader, node, "", above=frozenset(), seen=set()))
            body = reader.construct_document(node)
            if isinstance(body, Mapping):
                yield from _items(body, doubled)
    finally:
        reader.dispose()


def why_unread(error: yaml.YAMLError | RecursionError) -> str:
    """What keeps a text from being YAML, on one line; PyYAML's own words are of several, with a piece of the text."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    return f"line {line}, column {column}: {error.problem}" + (f" ({error.context})" if error.context else "")


def _items(body: Mapping[str, Any], doubled: tuple[Fault, ...]) -> Iterator[Document]:
    items = body.get("items")
    if body.get("kind") != "List" or not isinstance(items, list):
        yield Document(body=body, doubled=doubled)
        return
    for number, one in enumerate(items):
        within = f"items[{number}]."
        own = (
            Fault(field=it.field.removeprefix(within), message=it.message, warning=it.warning)
            for it in doubled
            if it.field.startswith(within)
        )
        if isinstance(one, Mapping):
            yield Document(body=one, doubled=tuple(own))


class _Reader(yaml.SafeLoader):
    """yaml.v2's idea of what a scalar without quotes is."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _TAG + _kind(value)
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        found = super().construct_scalar(node)
        try:
            str(found).encode()
        except UnicodeEncodeError:
            raise yaml.constructor.ConstructorError(None, None, "half of a surrogate pair", node.start_mark) from None
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        pairs = ((_key(self.construct_object(key, deep=True), key), value) for key, value in node.value)
        return {key: self.construct_object(value, deep=deep) for key, value in pairs}


def _kind(value: str) -> str:
    if value in _NULL:
        return "null"
    if value in _TRUE | _FALSE:
        return "bool"
    digits = value.replace("_", "")
    if _WHOLE.fullmatch(digits):
        return "int"
    return "float" if _NUMBER.fullmatch(digits) else "merge" if value == "<<" else "str"


def _number(reader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    digits = str(reader.construct_scalar(node)).replace("_", "").lower()
    if not _WHOLE.fullmatch(digits):
        return float(digits)
    sign, bare = (-1 if digits[0] == "-" else 1), digits.lstrip("+-")
    octal = len(bare) > 1 and bare[0] == "0" and bare[1] not in "xbo"
    return sign * (int(bare, 8) if octal else int(bare, 0))


def _text(reader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(reader.construct_scalar(node))


def _bool(reader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    return reader.construct_scalar(node) in _TRUE


for _kinds, _made in ((("int", "float"), _number), (("bool",), _bool), (("merge", "timestamp", "value"), _text)):
    for _name in _kinds:
        _Reader.add_constructor(_TAG + _name, _made)


def _key(key: Any, node: yaml.Node) -> str:
    """As JSON has it."""
    if key is None:
        raise yaml.constructor.ConstructorError(None, None, "null is no key", node.start_mark)
    if isinstance(key, bool):
        return str(key).lower()
    return f"{key:g}" if isinstance(key, float) else str(key)


def _doubled(reader: _Reader, node: yaml.Node, at: str, *, above: frozenset[int], seen: set[int]) -> Iterator[Fault]:
    """Keys that are there twice; an anchor's content is looked at where it stands first."""
    if id(node) in above:
        raise yaml.constructor.ConstructorError(None, None, "an anchor contains itself", node.start_mark)
    if id(node) in seen:
        return
    seen.add(id(node))
    inside, lines = above | {id(node)}, dict[str, int]()
    if isinstance(node, yaml.SequenceNode):
        for number, one in enumerate(node.value):
            yield from _doubled(reader, one, f"{at}[{number}]", above=inside, seen=seen)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "only a scalar is a key", key.start_mark)
        name, line = _key(reader.construct_object(key), key), key.start_mark.line + 1
        field = f"{at}.{name}" if at else name
        if name in lines:
            yield Fault(field=field, message=f"in line {lines[name]} and again in line {line}: {_TWICE}", warning=True)
        lines[name] = line
        yield from _doubled(reader, value, field, above=inside, seen=seen)
