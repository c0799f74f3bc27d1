"""Faults that are put upon the operator and upon workers, and what must hold through them."""
