"""What a single job does to its worker: ends its process each time, blocks its loop for good, or takes its time.

Workers are processes with a real broker; their node is played (`node`): it starts again what has ended, and asks for
`/healthz` as a kubelet does with the probe that a pool has by default.
"""
