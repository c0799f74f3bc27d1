"""The running operator: watches feed keys into a queue, the leader reconciles them.

`watches` (kopf) and the stream endpoint only mark a key as due. `queue` runs each key one at a time. `reconcile`
observes, asks the pure planner, executes, and writes the status once. `leadership` gates the queue by the Lease.
Nothing here decides what should be; nothing in `domain` touches the world.
"""
