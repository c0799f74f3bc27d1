"""What is wrong with a resource that was stored under other rules."""

from typing import Self

from pydantic import ValidationError


class InvalidPoolError(ValueError):
    """The resource cannot be understood: it was stored under other rules than this program has.

    The text names the fields, without their values.
    """

    @classmethod
    def of(cls, error: ValidationError) -> Self:
        """What a model found."""
        return cls("; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()))
