"""What pools say of themselves, as findings: pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from workerpool_operator.cli.doctor.remedies import remedy
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Json, Level, Seen, upgrade
from workerpool_operator.cli.places import home_of
from workerpool_operator.domain.trouble import troubles
from workerpool_operator.domain.watched import VARIABLE, watched

_MOST: Final = 20
"""Pools in trouble that are told one by one."""
_NOT_SEEN: Final = Finding(
    subject="",
    level=Level.BAD,
    text="the operator has not looked at it yet",
    remedy="see the finding on the operator; where that one is well, its log tells more",
)


def check(seen: Seen) -> Iterator[Finding]:
    """Each in trouble, up to so many, and how many more there are."""
    if seen.only and seen.only_there is False:
        yield Finding(
            subject=f"namespace {seen.only}",
            level=Level.BAD,
            text="there is none of this name",
            remedy="kubectl get namespaces shows those that there are",
        )
        return
    if isinstance(seen.pools, Hidden):
        yield Finding(
            subject="pools",
            level=Level.BAD,
            text=f"cannot be listed: {seen.pools.why}",
            remedy="wpool doctor --namespace NAMESPACE looks at those of one; or ask for the right to list workerpools",
        )
        return
    grave = troubled = 0
    for pool in seen.pools:
        found = list(_of(pool, seen))
        troubled += bool(found)
        grave += any(one.level is Level.BAD for one in found)
        if troubled <= _MOST:
            yield from found
    if troubled > _MOST:
        yield Finding(
            subject="pools",
            level=Level.BAD if grave else Level.NOTE,
            text=f"{troubled - _MOST} more are in trouble",
            remedy="wpool get --all-namespaces shows all; wpool doctor --namespace NAMESPACE tells of those of one",
        )
    elif not troubled:
        yield _well(seen, len(seen.pools))


def _well(seen: Seen, count: int) -> Finding:
    text = f"all {count} are well" if count else f"there are none{f' in {seen.only}' if seen.only else ''}"
    if not count and isinstance(seen.only_there, Hidden):
        text += ", and you may not see whether there is such a namespace"
    return Finding(subject="pools", level=Level.GOOD, text=text)


def _of(pool: Json, seen: Seen) -> Iterator[Finding]:
    metadata: Json = pool["metadata"]
    namespace, name = str(metadata.get("namespace", "")), str(metadata["name"])
    subject = f"pool {namespace}/{name}"
    if (elsewhere := _left_alone(namespace, seen)) is not None:
        yield Finding(
            subject=subject, level=Level.BAD, text="the operator looks after other namespaces only", remedy=elsewhere
        )
        return
    if not (pool.get("status") or {}).get("conditions"):
        yield Finding(subject=subject, level=_NOT_SEEN.level, text=_NOT_SEEN.text, remedy=_NOT_SEEN.remedy)
        return
    for trouble in troubles(pool):
        yield Finding(
            subject=subject,
            level=Level.BAD if trouble.grave else Level.NOTE,
            text=f"{trouble.type}={trouble.status} ({trouble.reason}): {trouble.message}",
            remedy=remedy(trouble, namespace=namespace, pool=name, home=home_of(pool)),
        )


def _left_alone(namespace: str, seen: Seen) -> str | None:
    """What to do where no operator looks after the namespace; None where one does, or nobody may see it."""
    return None if isinstance(seen.operators, Hidden) else left_alone(namespace, seen.operators)


def left_alone(namespace: str, operators: Sequence[Json]) -> str | None:
    """What to do where none of these operators looks after the namespace; None where one does, or there are none."""
    named = [watched_by(one) for one in operators]
    if not named or not all(named) or any(namespace in names for names in named):
        return None
    return upgrade(operators[-1], f"--set 'watchNamespaces={{{','.join((*named[-1], namespace))}}}'")


def watched_by(operator: Json) -> Sequence[str]:
    """The namespaces that it looks after; none: all of them, or nobody can tell which."""
    pod: Json = operator.get("spec", {}).get("template", {}).get("spec", {})
    settings = {
        variable["name"]: variable.get("value", "")
        for container in pod.get("containers", ())
        for variable in container.get("env", ())
    }
    try:
        return watched(settings.get(VARIABLE) or "")
    except ValueError:  # with which it does not start: its Deployment says so
        return ()
