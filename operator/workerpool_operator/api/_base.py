"""What every part of the resource is built from: the frozen base model, CEL rules, and shared field types.

A field's bounds live on the field, so that the API server and this program refuse the same things. Rules that span
fields are CEL (`Rule`): only the API server evaluates them, with a message that says what to write instead.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
QUANTITY: Final = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][-+]?[0-9]+))?$"


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


Name = Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
"""Name of an object in the pool's own namespace."""
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""Key in a Secret or ConfigMap."""
LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
Text = Annotated[str, Field(max_length=63)]
_INT_OR_STRING: Final[dict[str, Any]] = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
}
Quantity = Annotated[int | str, WithJsonSchema(_INT_OR_STRING | {"pattern": QUANTITY, "maxLength": 32})]
"""An amount of a resource, such as `2`, `500m` or `1Gi`."""
IntOrPercent = Annotated[int | str, WithJsonSchema(_INT_OR_STRING | {"maxLength": 4})]
Mode = Annotated[int, Field(ge=0, le=0o777)]
"""File mode bits; JSON has no octal, so 0644 is written 420."""
