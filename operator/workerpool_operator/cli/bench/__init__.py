"""`wpool bench`: the same jobs one after the other, in threads, in the event loop and in processes.

`modes` runs them, `statistics` adds up and compares, and is pure, `run` repeats, `report` tells.
"""
