"""A node is lost on which a pool's workers, the operator's leader and one of two collectors run."""
