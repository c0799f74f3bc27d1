"""A version and revision of a pool's workers, stored once as a ControllerRevision.

The template in it is the one that was rendered when the pool first asked for it. Deployments are made of what is
stored, so an operator with another renderer leaves every running worker alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.desired.hashes import SCHEME, hashes
from workerpool_operator.domain.desired.names import (
    REVISION_LABEL,
    VERSION_LABEL,
    RenderError,
    metadata,
    revision_name,
    worker_labels,
)
from workerpool_operator.domain.desired.template import pod_template

_FIRST: Final = 1
"""`revision` orders revisions of one template; ours are told apart by name and never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a pool asks for, and how it would be rendered if it were new."""

    name: str
    version: str
    revision: str
    body: Mapping[str, Any]
    """The ControllerRevision."""

    def holding(self, template: Mapping[str, Any]) -> "Revision":
        """The same revision with another template.

        For a ControllerRevision that somebody deleted while its Deployment runs: what runs is stored again, since what
        would be rendered now may differ, and would restart every worker.
        """
        return replace(self, body={**self.body, "data": {**self.body["data"], "template": template}})


def revision_for(pool: WorkerPool) -> Revision:
    """The version and revision that the pool asks for.

    Raises:
        RenderError: no valid pod can be made of the pool.
    """
    found = hashes(pool)
    name = revision_name(pool, version=found.version, revision=found.revision)
    template = pod_template(pool, version=found.version, revision=found.revision)
    labels = worker_labels(pool) | {VERSION_LABEL: found.version, REVISION_LABEL: found.revision}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata(pool, name, labels=labels),
        "revision": _FIRST,
        "data": {
            "scheme": SCHEME,
            "version": found.version,
            "revision": found.revision,
            "template": template,
        },
    }
    return Revision(name=name, version=found.version, revision=found.revision, body=body)


def stored_template(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod template in a ControllerRevision.

    Raises:
        RenderError: somebody put something else there; deleting the object makes the operator store it anew.
    """
    template = (body.get("data") or {}).get("template")
    if not isinstance(template, Mapping) or "spec" not in template:
        name = body.get("metadata", {}).get("name", "")
        raise RenderError(f"ControllerRevision {name} holds no pod template: delete it, and it is stored anew")
    return template
