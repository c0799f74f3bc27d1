"""Prints docs/reference/events.md: every event that the operator writes about a pool, from the code that does."""

import sys
from typing import Final

from workerpool_operator.api import ConditionType, Reason
from workerpool_operator.api.docs import member_docs
from workerpool_operator.domain.events import HAPPENED, WRONG
from workerpool_operator.kube.events import BURST, REFILL_SECONDS, REPORTING_CONTROLLER

HEAD: Final = f"""\
<!-- Generated from the events in the code by `make generate`: do not edit. -->
# Events

`wpool events POOL`, `kubectl describe wpool POOL` and `kubectl get events --field-selector
involvedObject.kind=WorkerPool` show them; the [page](../how-to/page.md) does too. They are about the WorkerPool, in its
namespace, with `reportingController: {REPORTING_CONTROLLER}`. The API server forgets events, by default after an hour:
what counts longer is in the pool's [conditions](api.md#conditions) and in [metrics](metrics.md).

The same event again (of the same pool, with the same words) raises the count of the one that is there. Of one pool
{BURST} are written at once, then one in {REFILL_SECONDS:.0f} s; those beyond are dropped and counted
(`workerpool_operator_events_dropped_total`), since an event never holds up the work that it tells of.

## What happened

| Reason | Type | Meaning |
|---|---|---|
"""
WRONG_HEAD: Final = """
## What is wrong

Told when a condition gets one of these reasons, as a Warning with the condition's message; when that is over, as a
Normal event with the reason that it has then.

| Condition | Reason | Meaning |
|---|---|---|
"""


def page() -> str:
    """The page."""
    meaning = {reason: " ".join(text.split()) for reason, text in _meanings().items()}
    happened = [
        f"| `{reason}` | {'Warning' if warning else 'Normal'} | {meaning[reason]} |\n"
        for reason, warning in HAPPENED.items()
    ]
    wrong = [
        f"| `{condition}` | `{reason}` | {meaning[reason]} |\n"
        for condition in ConditionType
        for reason in Reason
        if reason in WRONG.get(condition, ())
    ]
    return "".join([HEAD, *happened, WRONG_HEAD, *wrong])


def _meanings() -> dict[Reason, str]:
    docs = member_docs(Reason)
    return {reason: docs[reason.name] for reason in Reason}


if __name__ == "__main__":
    sys.stdout.write(page())
