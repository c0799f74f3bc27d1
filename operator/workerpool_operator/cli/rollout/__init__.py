"""`wpool rollout`: how far a new version is, and what people decide about it."""
