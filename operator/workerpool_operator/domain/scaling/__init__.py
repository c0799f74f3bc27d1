"""How many workers a pool should have.

`decide(inputs)` is the only way to a size: the operator, and every tool that explains or simulates one, call it.
The same inputs give the same answer however often they are asked: what must be remembered between two looks is in
`History`, which goes in and comes out.
"""

from workerpool_operator.domain.scaling.decide import Decision, Inputs, decide
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.terms import Backlog, Term

__all__ = ["Backlog", "Decision", "History", "Inputs", "Term", "decide"]
