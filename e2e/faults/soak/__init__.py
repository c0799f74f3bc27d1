"""Hours of churn: pools come, change and go, and the operator is to be afterwards what it was (`__main__`)."""
