"""What every message is built from."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

Short = Annotated[str, Field(max_length=64)]
"""An id, a hash, a label's value."""
Name = Annotated[str, Field(max_length=253)]
"""A Kubernetes object's name."""


CONFIG: Final = ConfigDict(extra="ignore", allow_inf_nan=False)
"""A field that this version does not know is ignored, and no number is infinite."""


class Message(BaseModel):
    """What is sent by itself. What is kept of it by the thousand is a dataclass, which takes a fifth of the memory."""

    model_config = ConfigDict(frozen=True, **CONFIG)
