"""API errors in the resource's own terms: which of them a person must cure, and what to tell them."""

from collections.abc import Iterable, Mapping
from typing import Final

from workerpool_operator.api import Reason
from workerpool_operator.controller.execute import Failure
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.kube import errors, kinds

_REASONS: Final[tuple[tuple[type[errors.KubeError], Reason], ...]] = (
    (errors.QuotaExceeded, Reason.QUOTA_EXCEEDED),
    (errors.Forbidden, Reason.FORBIDDEN),
    (errors.Unauthorized, Reason.FORBIDDEN),
    (errors.Invalid, Reason.APPLY_REFUSED),
    (errors.NameTaken, Reason.APPLY_REFUSED),
)
_ABSENT: Final[Mapping[str, Reason]] = {kinds.SCALED_OBJECT.kind: Reason.KEDA_NOT_INSTALLED}
_OPTIONAL: Final[tuple[tuple[type[errors.KubeError], Reason], ...]] = (
    *_REASONS,
    (errors.KubeError, Reason.APPLY_REFUSED),
)
"""What a pool does without is told of in any case: nothing else shows that it is not there."""


def refusals(failures: Iterable[Failure]) -> tuple[Refusal, ...]:
    """Those failures that trying again will not cure. A namespace on its way out is nobody's fault."""
    told = (_refusal(failure) for failure in failures if not isinstance(failure.error, errors.NamespaceTerminating))
    return tuple(refusal for refusal in told if refusal is not None)


def _refusal(failure: Failure) -> Refusal | None:
    if failure.optional and isinstance(failure.error, errors.Conflict) and failure.overtaken:
        return None
    about, message = failure.what.partition(" ")[0], f"{failure.what}: {failure.error}"
    if failure.optional and isinstance(failure.error, errors.KindNotServed):
        reason = _ABSENT.get(about, Reason.PROMETHEUS_RULE_KIND_MISSING)
        return Refusal(reason=reason, message=message, kind=about, optional=True)
    for kind, reason in _OPTIONAL if failure.optional else _REASONS:
        if isinstance(failure.error, kind):
            return Refusal(reason=reason, message=message, kind=about, optional=failure.optional)
    return None
