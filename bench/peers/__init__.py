"""This project's worker and those of other libraries, on the same Redis, with the same work and the same guarantee."""
