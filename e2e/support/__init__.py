"""What the demo, the benchmarks and the end-to-end tests share: the product installed on a real cluster.

    stack = Stack.ensure()                       # cluster, images, helm release: what is missing of them
    with stack.namespace("tests-1") as namespace:
        redis = redis_server.deploy(stack, namespace)
        stack.kubectl.apply(pools.worker_pool("p", namespace, image=stack.images.worker, redis=redis.url))
        wait_for(lambda: pools.ready(stack.kubectl, namespace, "p"), seconds=30, what="pool p Ready")

``kubectl`` is the user's way to the API server and ours; ``redis`` puts a broker into the cluster and opens a way
to it from this machine; ``pools`` makes manifests; ``diagnose`` prints what to look at when something failed.
"""
