"""How one version of a pool's workers takes over from another.

| Module | Decides |
|---|---|
| `counts` | how a total moves from Deployment to Deployment, one ready worker at a time |
| `splitter` | how many workers run the canary |
| `pace` | how fast each of them may take jobs |
| `ledger` | what happened since the last look, from counters that begin anew with each process |
| `mixture`, `spread`, `evidence` | what that shows of the two versions, looked at as often as one likes |
| `judge` | the verdict |
| `commands`, `steps` | what follows from it, step by step |
"""

from workerpool_operator.domain.rollout.counts import Counts, Slot, hold_shares, move_counts

__all__ = ["Counts", "Slot", "hold_shares", "move_counts"]
