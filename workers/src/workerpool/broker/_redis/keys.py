"""Names of the keys beside a stream: all in its hash slot, so one script may touch them all in a Redis Cluster."""

import re

from workerpool.errors import ConfigurationError


def beside(stream: str, name: str) -> str:
    """`{stream}:name`; a stream with a hash tag of its own, such as `{app}:jobs`, is used as it is.

    Raises:
        ConfigurationError: no stream is named, or it has braces that are no hash tag.
    """
    if not stream:
        raise ConfigurationError("a Redis queue needs the name of a stream")
    base = stream if re.search(r"\{[^}]+\}", stream) else "{" + stream + "}"
    if base is not stream and re.search(r"[{}]", stream):
        raise ConfigurationError("braces in a stream's name must hold a hash tag, as in {app}:jobs")
    return f"{base}:{name}"


class Keys:
    """The keys of one queue."""

    def __init__(self, stream: str, group: str) -> None:
        self.delayed = beside(stream, "delayed")
        self.dead = beside(stream, "dead")
        self.stats = beside(stream, "stats")
        self.leases = beside(stream, f"leases:{group}")
        self.checkpoints = beside(stream, "checkpoints")
        self.tokens_prefix = beside(stream, "tokens:")
        self.job_prefix = beside(stream, "job:")
        self.of_redrive = (stream, self.dead, self.stats)
