"""Queue workers that drain, retry, dead-letter and lose nothing."""
