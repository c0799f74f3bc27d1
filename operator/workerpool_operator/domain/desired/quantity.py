"""Amounts of resources in the API server's own spelling.

The API server stores `1000m` as `1` and `1024Mi` as `1Gi`. What is rendered must be spelled like what is stored, or a
pool would look different from its Deployment for ever.

Source: `Quantity.CanonicalizeBytes` in k8s.io/apimachinery/pkg/api/resource.
"""

import math
import re
from fractions import Fraction
from typing import Final

from workerpool_operator.domain.desired.names import RenderError

_SYNTAX: Final = re.compile(r"\+?(?P<number>\d+\.?\d*|\.\d+)(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][-+]?\d{1,3}|)")
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_KIBI: Final = 1024
_FINEST: Final = -9
_LARGEST: Final = 2**63 - 1


def canonical(amount: int | str) -> str:
    """The amount as the API server spells it.

    Raises:
        RenderError: it is not an amount, or above 2^63 - 1.
    """
    value, suffix = _read(amount)
    if suffix in _BINARY[1:]:
        # Below 1024 and for fractions of a byte the decimal spelling is used, as in the source.
        whole = value >= _KIBI and value.denominator == 1
        return _binary(int(value)) if whole else _decimal(value, exponent_form=False)
    return _decimal(value, exponent_form=suffix not in _DECIMAL)


def number(amount: int | str) -> float:
    """The amount as a number of its unit: 500m -> 0.5.

    Raises:
        RenderError: it is not an amount, or above 2^63 - 1.
    """
    return float(_read(amount)[0])


def _read(amount: int | str) -> tuple[Fraction, str]:
    """The amount, rounded up to billionths, and its suffix."""
    match = _SYNTAX.fullmatch(str(amount))
    if match is None:
        raise RenderError(f"{amount!r} is not an amount: write it like 2, 500m or 1Gi")
    mantissa, suffix = Fraction(match["number"]), match["suffix"]
    if suffix in _BINARY[1:]:
        return _limited(amount, mantissa * _KIBI ** _BINARY.index(suffix)), suffix
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return _limited(amount, mantissa * Fraction(10) ** exponent), suffix


def _limited(amount: int | str, value: Fraction) -> Fraction:
    """Rounded up to a whole number of billionths."""
    if value > _LARGEST:
        raise RenderError(f"{amount!r} is too large an amount: write at most {_LARGEST}")
    billionths = 10**-_FINEST
    return Fraction(math.ceil(value * billionths), billionths)


def _binary(value: int) -> str:
    power = 0
    while value % _KIBI == 0 and power < len(_BINARY) - 1:
        value, power = value // _KIBI, power + 1
    return f"{value}{_BINARY[power]}"


def _decimal(value: Fraction, *, exponent_form: bool) -> str:
    """The smallest whole mantissa whose exponent is a multiple of three."""
    if value == 0:
        return "0"
    exponent = _FINEST
    mantissa = int(value * 10**-_FINEST)
    while mantissa % 1000 == 0 and (exponent_form or exponent < max(_DECIMAL.values())):
        mantissa, exponent = mantissa // 1000, exponent + 3
    if exponent_form:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    suffix = next(name for name, power in _DECIMAL.items() if power == exponent)
    return f"{mantissa}{suffix}"
