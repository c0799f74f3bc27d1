"""Pure decisions. Data in, decisions out: no I/O, no clock, no randomness; `now` is an argument.

`now` is always seconds on the caller's monotonic clock, so a step of the wall clock decides nothing.
"""
