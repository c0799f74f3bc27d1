"""`wpool chaos`: break something that will break anyway, see whether what was expected of it holds, and put it back.

One table of scenarios (`table`), one play of any of them (`play`) and one judge (`judge`). What breaks things is behind
a Protocol: `wpool chaos` has hands that use no more than the Kubernetes API and the user's own rights (`hands`); the
end-to-end tests have others, which reach the machine that the cluster runs on.
"""
