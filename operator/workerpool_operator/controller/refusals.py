"""API errors in the resource's own terms: which of them a person must cure, and what to tell them."""

from collections.abc import Iterable
from typing import Final

from workerpool_operator.api import Reason
from workerpool_operator.controller.execute import Failure
from workerpool_operator.domain.conditions import Refusal
from workerpool_operator.kube import errors

_REASONS: Final[tuple[tuple[type[errors.KubeError], Reason], ...]] = (
    (errors.QuotaExceeded, Reason.QUOTA_EXCEEDED),
    (errors.Forbidden, Reason.FORBIDDEN),
    (errors.Unauthorized, Reason.FORBIDDEN),
    (errors.Invalid, Reason.APPLY_REFUSED),
)


def refusals(failures: Iterable[Failure]) -> tuple[Refusal, ...]:
    """Those failures that trying again will not cure. A namespace on its way out is nobody's fault."""
    told: list[Refusal] = []
    for failure in failures:
        if isinstance(failure.error, errors.NamespaceTerminating):
            continue
        for kind, reason in _REASONS:
            if isinstance(failure.error, kind):
                told.append(Refusal(reason=reason, message=f"{failure.what}: {failure.error}"))
                break
    return tuple(told)
