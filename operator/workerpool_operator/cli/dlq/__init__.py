"""`wpool dlq`: dead letters, by a short Job that runs where the queues are."""
