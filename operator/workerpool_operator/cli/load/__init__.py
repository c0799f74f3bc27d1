"""`wpool load`: feed a queue on schedule, and measure what became of the jobs.

The feeder is an open loop: a job is sent when its time has come, whether or not the earlier ones are done, because a
feeder that waits for answers slows down with the system and hides the very delay that it should measure. For the same
reason a job's wait counts from when it **should** have been sent; how late the feeder itself was is reported too.

Parts: `schedule` says when jobs are due, `feeder` sends them, `readers` knows where workers tell of each job: `records`
reads it in Redis, `results` elsewhere. `ledger` adds it up; where nobody tells, `workers` reads metrics, of which
`histograms` makes figures. `reaction` times the pool's answers, `run` ties them together, `report` shows the result.
"""

from workerpool_operator.cli.load.ledger import Ledger, Outcome, Record
from workerpool_operator.cli.load.report import Report
from workerpool_operator.cli.load.run import Load, Progress, Target, run
from workerpool_operator.cli.load.schedule import Schedule, burst, bursts, moments, peak, ramp, steady

__all__ = [
    "Ledger",
    "Load",
    "Outcome",
    "Progress",
    "Record",
    "Report",
    "Schedule",
    "Target",
    "burst",
    "bursts",
    "moments",
    "peak",
    "ramp",
    "run",
    "steady",
]
