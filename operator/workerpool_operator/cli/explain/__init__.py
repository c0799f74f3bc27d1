"""`wpool explain`: why a pool has its size, its canary its verdict and its workers their place, on one screen."""
