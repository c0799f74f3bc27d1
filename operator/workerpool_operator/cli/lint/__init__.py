"""`wpool lint`: the API server's validation, offline."""
