"""The command line, `wpool` (also `kubectl wpool`): what people do with pools and queues from their own machine.

It talks to brokers and to the Kubernetes API with the user's own rights; the operator has no API for it.
"""
