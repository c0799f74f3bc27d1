"""What every part of the resource is built from: the frozen base model, CEL rules, and shared field types.

A field's bounds live on the field, so that the API server and this program refuse the same things. Rules that span
fields are CEL (`Rule`): only the API server evaluates them, with a message that says what to write instead.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUANTITY: Final = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][-+]?[0-9]+))?$"

_LONGEST_PREFIX: Final = 253


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One `x-kubernetes-validations` entry."""

    cel: str
    """True when the object is good; `self` is the value that the rule hangs on."""
    message: str
    """What to write instead, for the person whose `kubectl apply` was refused."""
    path: str = ""
    """Field the error is reported at, below the value (`.maxReplicas`); empty for the value itself."""

    def as_schema(self) -> dict[str, str]:
        """The entry as the CRD holds it."""
        entry = {"rule": self.cel, "message": self.message}
        return entry | {"fieldPath": self.path} if self.path else entry


def rules(*found: Rule) -> dict[str, Any]:
    """`json_schema_extra` that hangs these rules on a model or a field."""
    return {"x-kubernetes-validations": [rule.as_schema() for rule in found]}


def explained(message: str, *more: Rule) -> Callable[[dict[str, Any]], None]:
    """`json_schema_extra` that gives a field's own pattern or minimum these words, and adds more rules.

    Both sides go on checking the same bound, but the API server says what to write instead of showing a regular
    expression. It checks patterns first and skips all rules if one fails, so the pattern goes.
    """

    def extra(schema: dict[str, Any]) -> None:
        if "pattern" in schema:
            pattern = schema.pop("pattern").replace("\\", "\\\\").replace("'", "\\'")
            cel = f"self.matches('{pattern}')"
        else:
            cel = f"self >= {schema.pop('minimum')}"
        schema["x-kubernetes-validations"] = [rule.as_schema() for rule in (Rule(cel=cel, message=message), *more)]

    return extra


def keyed_by(*keys: str) -> dict[str, Any]:
    """`json_schema_extra` of a list whose items are told apart by these keys: duplicates are refused."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}


class Model(BaseModel):
    """A part of the resource: frozen; unknown fields are ignored, because the CRD may be ahead of this program."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """As the API server holds it: camelCase, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def changed(self, **fields: Any) -> Self:
        """A copy with these fields (snake_case names) replaced; they are not validated again."""
        return self.model_copy(update=fields)


LABEL_KEY: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
"""Kubernetes' qualified names. That what stands before the `/` has at most 253 characters is checked beside it."""
LABEL_VALUE: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
LABEL_KEYS: Final = Rule(
    cel=f"self.all(key, key.matches('{LABEL_KEY}') && (!key.contains('/') || key.matches('^[^/]{{1,253}}/')))",
    message="keys are written as name or example.com/name, with at most 63 characters in the name",
)
LABEL_VALUES: Final = Rule(
    cel=f"self.all(key, self[key].matches('{LABEL_VALUE}'))",
    message="label values have at most 63 characters out of A-Z, a-z, 0-9, '-', '_' and '.', and start and end with "
    "a letter or digit",
)


def label_fault(key: str, value: str) -> str:
    """Why Kubernetes would refuse this label, in the words of the rules; empty: it would not."""
    prefix, slash, _ = key.rpartition("/")
    if not re.search(LABEL_KEY, key) or (slash and len(prefix) > _LONGEST_PREFIX):
        return LABEL_KEYS.message
    return "" if re.search(LABEL_VALUE, value) else LABEL_VALUES.message


Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=DNS_SUBDOMAIN,
        json_schema_extra=explained(
            "names of objects have only a-z, 0-9, '-' and '.', and start and end with a letter or digit"
        ),
    ),
]
"""Name of an object in the pool's own namespace."""
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""Key in a Secret or ConfigMap. Not `explained`: nested lists of keys would exceed the cost budget of rules."""
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
Text = Annotated[str, Field(max_length=63)]
INT_OR_STRING: Final[dict[str, Any]] = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
}


def number(pattern: str, *, least: int, most: int, length: int, message: str) -> WithJsonSchema:
    """The schema of a number that is an int from `least` to `most`, or text of up to `length` that fits `pattern`."""
    cel = f"type(self) == int ? self >= {least} && self <= {most} : self.matches('{pattern}')"
    return WithJsonSchema(INT_OR_STRING | {"maxLength": length} | rules(Rule(cel=cel, message=message)))


_QUANTITY_RULE: Final = Rule(
    cel="type(self) == int ? self >= 0 : self.matches('" + QUANTITY.replace("\\", "\\\\") + "')",
    message='write an amount such as 2, 500m, 1.5 or 1Gi; a fraction needs quotes: "0.5"',
)
Quantity = Annotated[int | str, WithJsonSchema(INT_OR_STRING | {"maxLength": 32} | rules(_QUANTITY_RULE))]
"""An amount of a resource, such as `2`, `500m` or `1Gi`."""
_RATE: Final = r"^([1-9][0-9]{0,5}([.][0-9]{1,3})?|0[.]0{0,2}[1-9][0-9]{0,2})$"
Rate = Annotated[
    Annotated[int, Field(ge=1, le=1_000_000)] | Annotated[str, Field(pattern=_RATE)],
    number(
        _RATE,
        least=1,
        most=1_000_000,
        length=10,
        message="write a number per second above 0, at most 1000000; a fraction has up to 3 digits and needs quotes: "
        '"0.5"',
    ),
]
"""A number per second, such as `100` or `"0.5"`."""
_SECONDS: Final = r"^([1-9][0-9]{0,4}([.][0-9]{1,3})?|0[.]0{0,2}[1-9][0-9]{0,2})$"
Seconds = Annotated[
    Annotated[int, Field(ge=1, le=99_999)] | Annotated[str, Field(pattern=_SECONDS)],
    number(
        _SECONDS,
        least=1,
        most=99_999,
        length=9,
        message='write seconds above 0, below 100000; a fraction has up to 3 digits and needs quotes: "0.25"',
    ),
]
"""A time, such as `2` or `"0.25"`."""
_SHARE: Final = r"^(0[.](0[1-9]|[1-9])[0-9]{0,2}|1([.]0{1,3})?)$"
_SHARE_RULE: Final = Rule(
    cel=f"type(self) == int ? self == 1 : self.matches('{_SHARE}')",
    message='write a share from "0.01" to 1; a fraction has up to 3 digits and needs quotes: "0.75"',
)
Share = Annotated[
    Annotated[int, Field(ge=1, le=1)] | Annotated[str, Field(pattern=_SHARE)],
    WithJsonSchema(INT_OR_STRING | {"maxLength": 5} | rules(_SHARE_RULE)),
]
"""A share of a whole, such as `"0.75"`."""
IntOrPercent = Annotated[int | str, WithJsonSchema(INT_OR_STRING | {"maxLength": 4})]
Mode = Annotated[int, Field(ge=0, le=0o777)]
"""File mode bits; JSON has no octal, so 0644 is written 420."""
