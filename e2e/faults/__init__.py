"""Faults that are put upon the operator, and what must hold through them."""
