"""End-to-end tests, the clusters that they run on, and what demo and benchmarks share with them."""
