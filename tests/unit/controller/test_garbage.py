"""Garbage in circles does not pile up between full passes."""

import subprocess
import sys

EVENTS = """
import gc
from collections import deque
from workerpool_operator import garbage

class Body:
    def __init__(self):
        self.itself = self
        self.parts = [[self] for _ in range(60)]

garbage.calm()
under_way, most = deque(maxlen=30), 0
for number in range(40_000):
    under_way.append(Body())
    if number % 500 == 0:
        most = max(most, len(gc.get_objects(generation=2)))
print(most)
"""


def test_of_events_that_are_over_little_stands_at_any_moment() -> None:
    """Thirty are under way at a time, of some sixty objects each. The settings are of a whole process."""
    told = subprocess.run([sys.executable, "-c", EVENTS], capture_output=True, text=True, check=True, timeout=120)
    assert int(told.stdout) < 10 * 30 * 62
