"""`wpool explain`: why a pool has the size that it has, on one screen."""
