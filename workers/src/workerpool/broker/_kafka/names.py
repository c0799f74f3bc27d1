"""The topics and groups that belong to one queue."""

import re
from collections.abc import Iterable
from typing import Final

from aiokafka import TopicPartition

from workerpool.errors import ConfigurationError

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,115}")
"""Two of them and what is added are a topic's name still, which has 249 characters at most."""


class Names:
    """Of the queue of a topic and a group."""

    def __init__(self, topic: str, group: str) -> None:
        if not _NAME.fullmatch(topic) or not _NAME.fullmatch(group):
            raise ConfigurationError(
                "a topic and a group of Kafka have names of 1 to 115 letters, digits, '.', '_' and '-'"
            )
        self.topic = topic
        self.group = group
        self.retry = f"{topic}.{group}.retry"
        self.dead = f"{topic}.{group}.dead"
        self.dead_group = f"{group}.dead"

    def partitions(self, numbers: Iterable[int]) -> list[TopicPartition]:
        """Of the topic of those that wait for another attempt."""
        return [TopicPartition(self.retry, number) for number in numbers]

    def is_retry(self, topic: str) -> bool:
        """Whether it is one of those that wait for another attempt, of any queue with this group."""
        return topic.endswith(f".{self.group}.retry")
