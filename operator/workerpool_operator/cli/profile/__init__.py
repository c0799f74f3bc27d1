"""`wpool profile`: what a handler does with its time, and so where it should run.

A job's time has three parts. *Service* is CPU time, of all threads and processes that it uses. *Starved* is the time in
which it could have run and got no core: the second field of /proc/PID/schedstat, in ns (Documentation/scheduler/
sched-stats.rst). What is left of the wall clock is *wait*: network, disk, locks, sleep. So a busy machine makes
a job slower, and changes no verdict.

The handler runs in a process of its own (`child`), where `meter` reads the clocks. `classify` decides, and is pure;
`report` tells, `run` holds both ends together.
"""
