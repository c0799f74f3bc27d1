"""What every message is built from."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Short = Annotated[str, Field(max_length=64)]
"""An id, a hash, a label's value."""
Name = Annotated[str, Field(max_length=253)]
"""A Kubernetes object's name."""


class Message(BaseModel):
    """Frozen; a field that this version does not know is ignored, and no number is infinite."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
