"""To test handlers, and to see what the runtime does with them: the worker itself, in a time that the test plays.

```python
from workerpool import testing


def test_a_resize_is_tried_again() -> None:
    played = testing.run_job(worker, "resize", {"url": "https://example.org/a.png"})
    assert played.outcome is testing.Outcome.DONE
```

It is no second runtime. `simulate` starts the program's own `Worker`, without its servers, on a queue in memory and on
an event loop of its own, and plays three things:

| What | How |
|---|---|
| time | stands still until the test moves it: leases, backoff, delays and timeouts follow, and no test waits |
| order | a seed chooses which of the tasks that are ready goes next: the same seed repeats a race, `search` finds one |
| death | `crash_at` ends a worker as SIGKILL does: nothing of it goes on, its leases run out, and it is started anew |

docs/how-to/test-handlers.md shows how; workers/examples/races has two races, found by their seeds and mended.
"""

from workerpool.testing._loop import Stalled
from workerpool.testing._process import Process, point
from workerpool.testing._records import Attempt, Line, Outcome, Played
from workerpool.testing._simulation import Failure, Simulation, run_job, search, simulate

__all__ = [
    "Attempt",
    "Failure",
    "Line",
    "Outcome",
    "Played",
    "Process",
    "Simulation",
    "Stalled",
    "point",
    "run_job",
    "search",
    "simulate",
]
