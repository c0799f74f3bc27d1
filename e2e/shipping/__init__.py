"""Lines of pods on their way to a Loki: the files of examples/logs, run as they are, and what Loki has of them."""
