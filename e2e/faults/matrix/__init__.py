"""The faults F1 to F13, one after the other, with one yardstick: `python -m e2e.faults.matrix`.

Each fault (`ground.Fault`) is tried in several ways and gives a `rows.Trial` for each; a `rows.Row` sums them up.
`catalogue` lists them. What can be played without pods is played on a control plane of its own, with the operator as a
process; what only real pods show takes the cluster.
"""
