"""What to look at when something failed on the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.stack import NAMESPACE, RELEASE

_TAIL = 40


def report(kubectl: Kubectl, namespace: str) -> str:
    """Give pools, pods, events and logs of a namespace, and the operator's log, as text.

    What cannot be had is said in its place: this runs when things are broken.
    """
    where = f"--namespace={namespace}"
    parts = [
        _part(kubectl, "pools", "get", "workerpools", "--output=wide", where),
        _part(kubectl, "pool status", "get", "workerpools", "--output=jsonpath={.items[*].status}", where),
        _part(kubectl, "HPAs", "describe", "horizontalpodautoscalers", where),
        _part(kubectl, "pods", "get", "pods", "--output=wide", where),
        _part(kubectl, "events", "get", "events", "--sort-by=.lastTimestamp", where),
        *_unready_pods(kubectl, namespace),
        _logs(kubectl, "app.kubernetes.io/component=collector", namespace),
        _logs(kubectl, f"app.kubernetes.io/name={RELEASE}", NAMESPACE),
    ]
    return "\n".join(parts)


def _unready_pods(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    try:
        pods = kubectl.list("pods", namespace=namespace)
    except KubectlError as error:
        yield str(error)
        return
    for pod in pods:
        name, states = pod["metadata"]["name"], pod.get("status", {}).get("containerStatuses", [])
        if not states or not all(state["ready"] for state in states):
            where = f"--namespace={namespace}"
            yield _part(kubectl, f"pod {name}", "describe", "pod", name, where)
            yield _part(kubectl, f"log of {name}", "logs", name, f"--tail={_TAIL}", where)


def _logs(kubectl: Kubectl, selector: str, namespace: str) -> str:
    flags = [f"--selector={selector}", f"--tail={_TAIL}", "--prefix", f"--namespace={namespace}"]
    return _part(kubectl, f"log of {selector}", "logs", *flags)


def _part(kubectl: Kubectl, title: str, *arguments: str) -> str:
    try:
        said = kubectl.run(*arguments, seconds=20).rstrip()
    except KubectlError as error:
        said = str(error)
    return f"--- {title}\n{said}"
