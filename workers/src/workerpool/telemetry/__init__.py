"""What a worker tells about itself: metrics, logs, and the totals that go with its last words."""
