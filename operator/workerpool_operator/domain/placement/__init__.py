"""Places: where a pool's workers belong, who of them is lost, and how many run where.

| Module | Answers |
|---|---|
| `silence` | who is lost at this moment: pods of silent nodes, and pods without a node, both for the pool's timeout |
| `hold` | how many count as lost: at once more, and slowly fewer |
| `word` | whether a person has said, since then, that they come back |
| `look` | all of it for one pool: its `Places` |
| `distribute` | how one revision's workers lie over places, one step from the observed counts |
| `layout` | joins the pool's Deployments by revision, and spreads what `versions` decided over places |

Home's Deployment asks for all workers all the time, also while its nodes are away: what is lost of it is only left out
of the count, and made up for by the other place's Deployment. So there is nothing to undo when the nodes come back: the
pods start there again by themselves, and then the number that counts as lost falls, a few at a time, and the other
place gives up as many, idle ones first, as in every scale-in.

Versions know nothing of all this. They see each revision's workers in all places together, without the lost ones, so a
canary keeps its part of the workers wherever they are; what they decide is spread over places afterwards.

Without the right to read Leases in `kube-node-lease` no node is ever called silent: then failover waits until
Kubernetes has evicted the pods, and no room is found for those that follow. The condition `Placed` says so.
"""

from workerpool_operator.domain.placement.distribute import Layout, distribute, merged
from workerpool_operator.domain.placement.hold import CALM_SECONDS, STEP_SECONDS, Held
from workerpool_operator.domain.placement.look import PRIMARY, SECONDARY, Places, Seen, look, may_fail_over
from workerpool_operator.domain.placement.silence import Sighting, Silence, silence, suspects
from workerpool_operator.domain.placement.word import told_home

__all__ = [
    "CALM_SECONDS",
    "PRIMARY",
    "SECONDARY",
    "STEP_SECONDS",
    "Held",
    "Layout",
    "Places",
    "Seen",
    "Sighting",
    "Silence",
    "distribute",
    "look",
    "may_fail_over",
    "merged",
    "silence",
    "suspects",
    "told_home",
]
