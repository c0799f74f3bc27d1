"""What a queue is made of in JetStream, by name."""

import re
from typing import Final

from workerpool.errors import ConfigurationError

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Names:
    """Of one queue."""

    def __init__(self, stream: str, consumer: str) -> None:
        """Raises ConfigurationError for what cannot be a name."""
        for what, name in (("stream", stream), ("consumer", consumer)):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(
                    f"a NATS queue needs the name of a {what} in A-Z, a-z, 0-9, '-' and '_', not {name!r}"
                )
        self.stream = stream
        self.jobs = f"{stream}.jobs"
        """Subject of jobs that wait, in their order."""
        self.again = f"{stream}.again"
        """Subject of jobs that were taken over from somebody: they come first."""
        self.later = f"{stream}.later."
        """Prefix of the subjects of jobs that are not due: one each, on which the server's schedule for it lies."""
        self.dead = f"{stream}.dead"
        self.settled = f"{stream}.settled"
        """Subject of the marks that somebody late leaves before the job itself is gone."""
        self.consumers = {self.jobs: consumer, self.again: f"{consumer}-again"}
        """Subject -> the durable consumer that reads it."""
        self.bucket = f"{stream}-workerpool"
        """The key-value bucket beside the stream."""
        self.bucket_stream = f"KV_{self.bucket}"
        self.key_prefix = f"$KV.{self.bucket}."
