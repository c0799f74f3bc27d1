"""Whose connections stay when there are too many: those that are vouched for, then a fair share for each address.

Strangers and those whose credentials are still to be seen are one crowd. When it is full, a newcomer takes the place of
the oldest connection of the address that has the most. So a crowd from few addresses pushes out nobody but itself, and
even one from the address of a rightful caller leaves it the time of as many newcomers as the crowd is large.
"""

from typing import Protocol


class Guest(Protocol):
    """A connection."""

    def cut(self) -> None:
        """End it at once."""


class Admission:
    """Counts connections; belongs to one event loop."""

    def __init__(self, *, strangers: int, vouched: int) -> None:
        """At most so many of each. Beyond the second, who is vouched for stays among the strangers."""
        self._most_strangers = strangers
        self._most_vouched = vouched
        self._strangers: dict[str, dict[Guest, None]] = {}
        self._addresses: dict[Guest, str] = {}
        self._vouched: set[Guest] = set()

    def enter(self, guest: Guest, address: str) -> None:
        """Somebody is there; another one may have to leave."""
        self._strangers.setdefault(address, {})[guest] = None
        self._addresses[guest] = address
        if len(self._addresses) > self._most_strangers:
            crowd = max(self._strangers, key=lambda one: len(self._strangers[one]))
            oldest = next(iter(self._strangers[crowd]))
            self.leave(oldest)
            oldest.cut()

    def vouch(self, guest: Guest) -> None:
        """This one is no stranger. Nothing happens when it has left."""
        if guest in self._addresses and len(self._vouched) < self._most_vouched:
            self.leave(guest)
            self._vouched.add(guest)

    def leave(self, guest: Guest) -> None:
        """It is gone, or was so already."""
        self._vouched.discard(guest)
        address = self._addresses.pop(guest, None)
        if address is None:
            return
        of_address = self._strangers[address]
        del of_address[guest]
        if not of_address:
            del self._strangers[address]
