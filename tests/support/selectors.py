"""Label selectors, and whether the API server takes them."""

from typing import Final

ACCEPTED: Final = (
    "",
    "team=media",
    "team==media,tier!=test",
    "team",
    "!team",
    "team=",
    "app.kubernetes.io/name = thumbs",
    "tier in (a, b),team notin (c)",
    "tier in (a,)",
    "age>5,age<70",
    "A_b-c.d=E_f-g.h",
)
REFUSED: Final = (
    "???",
    "team=media=x",
    "=media",
    "team=-media",
    "-team=media",
    "a/b/c=d",
    "Upper/name=x",
    "tier in a,b",
    "tier in (a, b",
    "team=media,",
    "team media",
    "age>five",
    "x" * 64,
    "team=" + "x" * 64,
)
