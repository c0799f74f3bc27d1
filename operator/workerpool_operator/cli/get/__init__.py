"""`wpool get`: pools in a table, or one of them as a live tree of its queues, versions and pods."""
