"""What every message is built from."""

import sys
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Short = Annotated[str, Field(max_length=64)]
"""An id, a hash, a label's value."""
Name = Annotated[str, Field(max_length=253)]
"""A Kubernetes object's name."""
Shared = Annotated[Name, AfterValidator(sys.intern)]
"""One that many workers have: kept once for all of them (and for ever by Python 3.12.0 to 3.12.5, gh-113993)."""

CONFIG: Final = ConfigDict(extra="ignore", allow_inf_nan=False, cache_strings="keys")
"""A field that this version does not know is ignored, and no number is infinite. No value is kept for the next message:
pydantic would keep 16,384 of them, 1.5 MB of uids that are long gone."""


class Message(BaseModel):
    """What is sent by itself. What is kept of it by the thousand is a dataclass, which takes a fifth of the memory."""

    model_config = ConfigDict(frozen=True, **CONFIG)
