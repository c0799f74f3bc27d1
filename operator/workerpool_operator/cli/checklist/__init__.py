"""`wpool checklist`: what should hold of a pool before it goes live."""
