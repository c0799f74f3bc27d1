"""What the operator serves: the stream endpoint for collectors, and health with metrics.

Connections only go up: collectors dial in, the operator dials nobody. `state.StreamState` holds what they said and
the orders for them; `stream` is the TLS endpoint; `health` the plain HTTP one. `external_metrics` gives out what
`values.ValueBoard` holds, in a process of its own that stays small: so nothing is imported here.
"""
