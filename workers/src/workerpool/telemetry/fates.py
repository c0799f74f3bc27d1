"""What workers log of how a job's attempt ended: whoever reads logs knows it by these events (`wpool job status`)."""

DONE = "job done, after an earlier attempt"
"""One that goes well at its first attempt says nothing: it would be a line for each job."""
DONE_LATE = "done, but the lease was lost: it may be done twice"
FAILED = "job failed, will be retried"
SENT_BACK = "job failed, and goes back: its circuit is open"
BURIED = "job failed for good, dead-lettered"
LEASE_LOST = "lease lost, cancelling the handler"
