"""The chart's life on a real cluster: an earlier release to come from, and what Helm is asked to do.

`frozen.tar.xz` holds the chart of an earlier commit and what its image is built from, so that there is something to
upgrade from without a registry and without the repository's history. It is not made anew with each release: that pools
survive a long way is what is tested. To freeze another commit, write `git archive --format=tar COMMIT Dockerfile
.dockerignore requirements.lock operator/workerpool_operator workers/src charts/workerpool-operator | xz -9` there.
"""
