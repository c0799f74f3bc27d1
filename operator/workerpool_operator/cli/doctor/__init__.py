"""`wpool doctor`: what keeps pools of this cluster from working, each with its remedy."""
