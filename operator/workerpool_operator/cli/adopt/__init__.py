"""`wpool adopt`: a WorkerPool from a running Deployment, and the change from the one to the other."""
