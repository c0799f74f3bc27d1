"""How the operator grows, from 1 pool to 5,000 with 20,000 pods, and KEDA with as many ScaledObjects.

Each size and system gets a control plane of its own (`ground`): etcd, API server, controller manager, scheduler, and
KWOK's nodes, on which pods really come and become Ready. The system is processes on this machine; what they use is read
from /proc, and their requests are counted by the API server's audit log (`meter`, `audit`). Phases of ours, in order:

create
    From before the first of all pools is created until each has four Ready workers. Both cores are the control plane's
    then: seconds are the machine's, CPU seconds the operator's.
rest
    A window in which nothing changes, once no Deployment has changed for half a minute, workers have lost the marks of
    those at work (a write each, after a minute without a job), and hardly a request is made.
cold start
    The leader is killed (SIGKILL) and a new process started, until that leads and has looked at every pool. About 15 s
    of it wait for the dead one's lease.
update
    All pools get another image, strategy Rolling, until each has four Ready workers of that and none of the old one.
grow, shrink
    All pools to five workers, and back to four.

Collectors are played, one a namespace (`played`). Before the update a real one takes the place of one of them for a
while: as many times that as there are namespaces is what collectors cost, in the rows `workerpool-with-collectors`; the
rows `workerpool` are the operator's process alone. Its workers have no streams, as nobody runs those pods' programs.

The row does not need the update and what follows, which take half the time and more at 5,000 pools: what is known is
kept after each phase from the cold start on, and a run that is broken off there leaves a row.

KEDA (`beside`) has the phases create (until each ScaledObject has its HPA), rest and cold start (its operator alone is
killed). Requests that the HPAs' controller makes are nobody's, which is to KEDA's favour.

Lag is how long a pool, or a ScaledObject, was due before its turn came, from the histogram of each system's own queue:
above the largest finite bound (ours: 600 s) it is told as that bound. The row's is that at rest.
"""
