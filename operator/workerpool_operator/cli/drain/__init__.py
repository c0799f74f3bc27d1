"""`wpool drain`: a pool, or a node, is emptied of workers."""
