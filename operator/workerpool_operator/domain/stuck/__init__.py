"""Workers that live and do not consume: how they are found, and how they are restarted, one at a time.

A worker's own liveness check sees what hangs inside of it. It does not see an intake that runs and brings nothing,
because it must not look at the queue: else an outage of the broker would restart a whole fleet. From here both ends are
seen, the queue and all the workers. `evidence` gathers what both say over time, `find` says who is stuck by it, and
`restart` when one of them may be restarted.

Whoever is unknown is not stuck: missing or old samples, a worker that reports nothing (without the SDK), one that says
why it takes nothing. And work that a healthy worker leaves alone as well, with room for it, is no sign of anything: it
is not to be had now, or the broker counts wrong.
"""

from workerpool_operator.domain.stuck.evidence import Conduct, Reading, Waiting, Word, heard, held, read, unchanged
from workerpool_operator.domain.stuck.find import RECHECK_SECONDS, Findings, find
from workerpool_operator.domain.stuck.restart import Restarts, Stage, choose, look

__all__ = [
    "RECHECK_SECONDS",
    "Conduct",
    "Findings",
    "Reading",
    "Restarts",
    "Stage",
    "Waiting",
    "Word",
    "choose",
    "find",
    "heard",
    "held",
    "look",
    "read",
    "unchanged",
]
