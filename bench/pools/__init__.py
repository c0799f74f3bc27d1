"""What 1,000 pools cost: the operator with its collectors, and KEDA, one after the other on the same kind of stage.

The stage (`stage`): a control plane of its own (etcd, API server, controller manager, all at their default flags) and
a Redis of its own with a stream and a consumer group for each pool. No nodes: pods are made and stay Pending, so no
worker takes a job and none has a stream to its collector. Each system runs as the processes that its images run, with
an administrator's rights.

Both systems are measured alike. All WorkerPools, or ScaledObjects, are made while their queues are empty, then nothing
happens for a while, then all queues get their jobs at once:

cpu_seconds_start
    User and system time that the system's processes have used since they were started, when the last pool is looked
    after: has a worker Deployment of ours, at 0, or an HPA of KEDA's.
cpu_millicores_steady
    The same for each second of the window at rest, times 1,000. At rest: all queues are empty, all Deployments are at
    0, and none has changed for half a minute.
rss_mb
    Resident memory of the system's processes, summed, mean over that window, in MiB. Pages that processes share count
    for each of them.
seconds_to_all_scaled
    From when all queues have their jobs, 10 each, 5 a worker, until `spec.replicas` of every worker Deployment is what
    that demands: 2. Pods follow at the controller manager's own pace (20 requests a second), the same for both. Empty
    where it took longer than `PATIENCE_SECONDS`; how far it came is told then.

When each has been looked after is told as well, and what a second window costs in which the jobs stand untouched; both
are not in the file. Left to KEDA's favour: its Deployments are there before the clock starts, its admission webhooks
are left out, its HPAs are worked by the controller manager, whose CPU counts for nobody, and it reads a queue every
30 s, where a collector answers a job within a second.
"""
