"""What came in a message is gone with it: no process grows with the uids of workers that have ever been."""

import subprocess
import sys

import pytest

SEEN = (
    '{"type": "workers", "pool": "web", "pods": [], "workers": [{"pod": "web-%d", "uid": "%036d", "age_seconds": 0}]}'
)
ORDER = '{"type": "fence", "epoch": 1, "pool": "web-%d", "fence_id": "1.1", "pods": ["%036d"]}'
GREETING = '{"type": "hello", "pool": "web", "pod": "web-%d", "version": "1", "slots": 1, "boot_id": "%036d"}'
SETTINGS = '{"type": "settings", "ttl_seconds": %d.5, "fence": "%036d"}'
MESSAGES = {
    "the operator, from a collector": ("workerpool_operator.protocol", "decode_up", SEEN),
    "a collector, from the operator": ("workerpool_operator.protocol", "decode_down", ORDER),
    "a collector, from a worker": ("workerpool.protocol", "decode_up", GREETING),
    "a worker, from its collector": ("workerpool.protocol", "decode_down", SETTINGS),
}
GROWN = """
import gc, importlib, sys
module, name, text = sys.argv[1:]
decode = getattr(importlib.import_module(module), name)

def all_of(numbers):
    for number in numbers:
        decode(text % (number, number))
    gc.collect()
    return sys.getallocatedblocks()

before = all_of(range(100))
print(decode(text % (0, 0)) is not None, all_of(range(100, 20_000)) - before)
"""


@pytest.mark.parametrize("who", MESSAGES)
def test_twenty_thousand_messages_leave_nothing(who: str) -> None:
    """The cache is the process', so it is one of its own."""
    told = subprocess.run([sys.executable, "-c", GROWN, *MESSAGES[who]], capture_output=True, text=True, check=True)
    understood, grown = told.stdout.split()
    assert understood == "True"
    assert int(grown) < 2000
