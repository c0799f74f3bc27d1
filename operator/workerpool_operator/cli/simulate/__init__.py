"""`wpool simulate`: a pool's scaling settings played against a load, before anything is applied."""
