"""Text for Prometheus that says what it should and nothing else, whatever a name or a label holds."""

from typing import Final

_ASCII: Final = range(0x20, 0x7F)
_SHORT: Final = 0xFFFF
_OPENING: Final = "{{"


def quoted(text: str) -> str:
    """`text` as a string of PromQL, with its quotes.

    The escapes are those of Go. What is not printable ASCII is written as a code point: the lexer refuses line ends,
    and the character that stands for an invalid one.
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def untemplated(text: str) -> str:
    """`text` as a label or annotation of an alert, both of which are templates: one that expands to exactly `text`."""
    return text.replace(_OPENING, '{{ "{{" }}')


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    if code in _ASCII:
        return character
    return f"\\u{code:04x}" if code <= _SHORT else f"\\U{code:08x}"
