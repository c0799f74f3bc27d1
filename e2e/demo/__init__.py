"""`make demo`: real pods, scaled by the real depth of a real queue, on this machine.

`prepare` brings cluster, operator, Redis and a pool up; `show` sends the load and follows it to its end; `view` draws
it; `result` judges and reports what was measured; `teardown` removes it all. `__main__` puts them together.
"""
