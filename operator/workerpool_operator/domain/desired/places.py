"""Deployments of one version and revision in several places.

A place is known by its nodes: a hash of their labels, and nothing for any node. So places that swap their roles keep
their Deployments, another selector is another Deployment, and a pool that names no places has the names and templates
that it always had. The template of a place is the stored one of the revision, and the place's required node affinity.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

PLACE_LABEL: Final = "workerpool.dev/place"
_DIGITS: Final = 6
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def place_key(selector: Mapping[str, str]) -> str:
    """Six hex digits that name these nodes; empty: any node."""
    if not selector:
        return ""
    text = json.dumps(dict(selector), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def deployment_name(revision: str, place: str) -> str:
    """Name of the Deployment of a revision (its own name) in a place (its key)."""
    return f"{revision}-{place}" if place else revision


def revision_of(deployment: str, place: str) -> str:
    """The revision's name in that of its Deployment."""
    return deployment.removesuffix(f"-{place}") if place else deployment


def placed(template: Mapping[str, Any], selector: Mapping[str, str]) -> Mapping[str, Any]:
    """The template with the place's label, and its nodes required beside all that it requires already.

    Terms of a node affinity are alternatives, so each of them gets the place's conditions, at its end. One that is
    empty matches no node, and goes on to.
    """
    if not selector:
        return template
    metadata, spec = template["metadata"], template["spec"]
    wanted = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(selector.items())]
    affinity = spec.get("affinity") or {}
    nodes = affinity.get("nodeAffinity") or {}
    terms = (nodes.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{"matchExpressions": []}]
    narrowed = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), *wanted]}
        if "matchExpressions" in term or "matchFields" in term
        else term
        for term in terms
    ]
    required = {_REQUIRED: {"nodeSelectorTerms": narrowed}}
    return {
        **template,
        "metadata": {**metadata, "labels": {**metadata["labels"], PLACE_LABEL: place_key(selector)}},
        "spec": {**spec, "affinity": {**affinity, "nodeAffinity": {**nodes, **required}}},
    }


def unplaced(template: Mapping[str, Any], selector: Mapping[str, str]) -> Mapping[str, Any]:
    """What `placed` made this of; for a revision that somebody deleted while it runs."""
    if not selector:
        return template
    metadata, spec = template["metadata"], template["spec"]
    labels = {key: value for key, value in metadata["labels"].items() if key != PLACE_LABEL}
    affinity = spec["affinity"]
    nodes = affinity["nodeAffinity"]
    terms = [
        {**term, "matchExpressions": term["matchExpressions"][: -len(selector)]} if term else term
        for term in nodes[_REQUIRED]["nodeSelectorTerms"]
    ]
    kept = [{key: value for key, value in term.items() if value} for term in terms]
    without = {key: value for key, value in nodes.items() if key != _REQUIRED}
    nodes = {**without, _REQUIRED: {"nodeSelectorTerms": kept}} if any(kept) else without
    rest = {key: value for key, value in affinity.items() if key != "nodeAffinity"}
    affinity = {**rest, "nodeAffinity": nodes} if nodes else rest
    bare = {key: value for key, value in spec.items() if key != "affinity"}
    return {
        **template,
        "metadata": {**metadata, "labels": labels},
        "spec": {**bare, "affinity": affinity} if affinity else bare,
    }
