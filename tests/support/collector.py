"""The collector that the tests of workers play."""

from e2e.support.played_collector import PlayedCollector as FakeCollector

__all__ = ["FakeCollector"]
