"""Apps of other queue libraries under the worker contract: real workers, a real Redis, a played collector."""
