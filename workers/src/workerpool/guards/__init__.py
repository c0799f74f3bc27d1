"""What holds a worker back from work that it could take. Loaded only where a limit is set."""
