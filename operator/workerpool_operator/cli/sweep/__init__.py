"""`wpool sweep`: how many jobs at a time what they call can take.

Three ways to run many jobs, each over a rising limit (`strategies`): naive, a task for each job and all at once;
bounded, the same behind a semaphore; batched, groups of jobs behind a semaphore. `knee` finds where more at a time
brings no more throughput; `report` and `plot` show it.
"""
