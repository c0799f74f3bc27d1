"""Reaction: how fast pools and their peers answer to load, what that costs, and whom it hurts.

* `python -m bench.reaction`: five scalers beside each other on the same traces;
* `python -m bench.reaction.smoke`: modes direct and hpa alone, several runs each.

`traces` is the load, `figures` what is made of what was seen: both pure. `scalers` puts each scaler on the cluster by
the objects of `manifests`, `play` feeds a trace to it and `watching` looks on.
"""
