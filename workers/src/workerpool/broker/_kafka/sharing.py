"""Who gets which partitions, as the member decides that Kafka has chosen to decide.

Partition 3 of the jobs and partition 3 of those that wait for another attempt go together: else a worker could have
only partitions of the second kind, and nothing to do. Shares differ by one partition at the most. Who has a partition
keeps it as far as that allows, and gives up first those in which the fewest jobs run: a partition takes its jobs along.

aiokafka's own sticky assignor knows of neither, and keeps what it knows for all consumers of a process together.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from workerpool.broker._kafka.names import Names

Claims = Mapping[int, int]
"""The jobs that run in each partition that a member had, by the partition's number."""
_VERSION: Final = 0


def share_out(partitions: Iterable[int], claims: Mapping[str, Claims]) -> dict[str, list[int]]:
    """What each member gets. Pure; `claims`: of every member, by its id."""
    numbers = sorted(partitions)
    owners = {
        number: max((claim[number], member) for member, claim in claims.items() if number in claim)[1]
        for number in numbers
        if any(number in claim for claim in claims.values())
    }
    had = {member: [number for number, owner in owners.items() if owner == member] for member in claims}
    least, more = divmod(len(numbers), len(claims))
    shares = {}
    for place, member in enumerate(sorted(claims, key=lambda one: (-len(had[one]), one))):
        most = least + (place < more)
        shares[member] = sorted(had[member], key=lambda number: (-claims[member][number], number))[:most]
    kept = {number for share in shares.values() for number in share}
    free = [number for number in numbers if number not in kept]
    for place, share in enumerate(shares.values()):
        while len(share) < least + (place < more):
            share.append(free.pop(0))
    return shares


class Sharing(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """As aiokafka calls it: for a member when it joins, and by the one that decides."""

    name = "workerpool"

    def __init__(self, names: Names, claims: Callable[[], Claims]) -> None:
        self._names = names
        self._claims = claims

    def metadata(self, topics: Iterable[str]) -> Any:
        """What a member tells of itself."""
        said = json.dumps({"claims": {str(number): jobs for number, jobs in self._claims().items()}})
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), said.encode())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """What each member gets, by its id. Those of other topics are of other queues, which have the same group."""
        queues: dict[tuple[str, ...], dict[str, Claims]] = {}
        for member, said in members.items():
            queues.setdefault(tuple(sorted(said.subscription)), {})[member] = _claims(said.user_data)
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, _topics(cluster, share, topics), b"")
            for topics, claims in queues.items()
            for member, share in share_out(_numbers(cluster, topics, self._names), claims).items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Nothing to remember: see `Group`."""


def _claims(said: bytes) -> Claims:
    try:
        return {int(number): int(jobs) for number, jobs in json.loads(said)["claims"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):  # of another version than ours
        return {}


def _numbers(cluster: Any, topics: Iterable[str], names: Names) -> set[int]:
    """The partitions of the jobs."""
    found = [cluster.partitions_for_topic(topic) or set() for topic in topics if not names.is_retry(topic)]
    return set().union(*found)


def _topics(cluster: Any, share: Iterable[int], topics: Iterable[str]) -> list[tuple[str, list[int]]]:
    """A share as Kafka wants it: of each topic the partitions that there are."""
    return [(topic, sorted((cluster.partitions_for_topic(topic) or set()).intersection(share))) for topic in topics]
