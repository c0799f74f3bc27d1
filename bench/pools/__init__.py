"""What 1,000 pools cost: the operator with its collectors, and KEDA, one after the other on the same kind of stage.

The stage (`stage`): a control plane of its own (etcd, API server, controller manager, all at their default flags) and
a Redis of its own with a stream and a consumer group for each pool. No nodes: pods are made and stay Pending, so no
worker takes a job and none has a stream to its collector. Each system runs as the processes that its images run, with
an administrator's rights.

Both systems are measured alike:

seconds_to_all_scaled
    From just before the first WorkerPool, or ScaledObject, is created until `spec.replicas` of every worker Deployment
    is what its queue demands: 10 jobs wait in each from the beginning, 5 a worker, so 2. Pods follow at the controller
    manager's own pace (20 requests a second), the same for both.
cpu_seconds_start
    User and system time that the system's processes have used at that moment, since they were started.
cpu_millicores_steady
    The same for each second of the window at rest, times 1,000. At rest: all jobs are done, all Deployments are at 0
    again, and none has changed for half a minute.
rss_mb
    Resident memory of the system's processes, summed, mean over that window, in MiB. Pages that processes share count
    for each of them.

A second window lies before the jobs are done, while they stand untouched in each queue; it is told, and is not in the
file. Left to KEDA's favour: its Deployments are there before the clock starts, its admission webhooks are left out, its
HPAs are worked by the controller manager, whose CPU counts for nobody, and it reads a queue every 30 s, where a
collector answers a job within a second.
"""
