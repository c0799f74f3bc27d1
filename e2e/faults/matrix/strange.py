"""F11: resources that nobody foresaw, drawn within and around the schema."""

from __future__ import annotations

import asyncio
import copy
import json
import time
import warnings
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from e2e.faults.collector import Script
from e2e.faults.lane import Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.ground import ROOT, Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import POOL, QUEUE, Stage, pool_body
from e2e.support.wait import NotInTimeError, until
from workerpool_operator.kube import ObjectRef, errors, ref_of

Json = dict[str, Any]

_SEED = 1
_BATCH = 25
_BATCHES = 8
_ANSWER_SECONDS = 30.0
_QUIET_SECONDS = 5.0
_MOST = 2**31
_FEW = 5
_TEXTS = ("", "a", "A_b", "-", "x" * 300, "ä", "1e400", "../..", "${HOME}", "{{ . }}")


def resources(count: int, *, first: int = _SEED) -> list[Json]:
    """Draw so many specs: each is a good one of which up to three fields have been drawn anew."""
    schema = _spec_schema()
    drawn: list[Json] = []
    changes = _some_of(schema["properties"], min_size=1, max_size=3)

    @seed(first)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(changes)
    def draw(change: Json) -> None:
        drawn.append(change)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw()
    return drawn[:count]


def _spec_schema() -> Json:
    [path] = (ROOT / "crds").glob("*workerpools*.yaml")
    [version] = yaml.safe_load(path.read_text())["spec"]["versions"]
    found: Json = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def _around(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema takes, and some that it just does not."""
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], "Other"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(-1, 1000) | st.sampled_from([*_TEXTS, "1.25", "50%", "100m"])
    drawing = {"boolean": _flag, "integer": _integer, "string": _text, "array": _list, "object": _object}
    return drawing[schema["type"]](schema)


def _flag(schema: Mapping[str, Any]) -> st.SearchStrategy[bool]:
    del schema
    return st.booleans()


def _integer(schema: Mapping[str, Any]) -> st.SearchStrategy[int]:
    low, high = schema.get("minimum", -1), schema.get("maximum", _MOST)
    return st.integers(low, high) | st.sampled_from([low - 1, low, high, high + 1])


def _list(schema: Mapping[str, Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(_around(schema["items"]), max_size=3)


def _text(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    anything = st.sampled_from(_TEXTS)
    pattern = schema.get("pattern")
    return st.from_regex(pattern, fullmatch=True) | anything if pattern else st.text("ab-1.", max_size=20) | anything


def _object(schema: Mapping[str, Any]) -> st.SearchStrategy[Json]:
    if "properties" not in schema:
        values = schema.get("additionalProperties")
        return st.dictionaries(
            st.text("ab/.-", min_size=1, max_size=8), _around(values) if values else st.just("x"), max_size=3
        )
    required = sorted(schema.get("required", ()))
    return _some_of(schema["properties"], min_size=0, max_size=2, always=required)


def _some_of(
    properties: Mapping[str, Any], *, min_size: int, max_size: int, always: Collection[str] = ()
) -> st.SearchStrategy[Json]:
    """An object of so many of these, and of those that it cannot do without: with many, none would be taken."""
    others = sorted(properties.keys() - set(always))
    names = (
        st.lists(st.sampled_from(others), min_size=min_size, max_size=max_size, unique=True) if others else st.just([])
    )
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: _field(name, properties[name]) for name in (*always, *chosen)})
    )


def _field(name: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """What counts workers is taken small, or a little too large for the schema: the pods are made."""
    if not name.lower().endswith("replicas") or schema.get("type") != "integer":
        return _around(schema)
    low, high = schema.get("minimum", 0), schema.get("maximum", _MOST)
    return st.integers(low, max(low, _FEW)) | st.sampled_from([low - 1, high + 1])


@dataclass(frozen=True, kw_only=True)
class Strange:
    """F11."""

    number: str = "F11"
    what: str = (
        f"{_BATCH * _BATCHES} pools, each a good one with up to three fields of its spec drawn within and around the "
        "schema (by hypothesis, seeded). Each is refused with words, or the operator says in its status what it made "
        "of it; its process lives on, writes nothing more when nothing changes, and a good pool beside them grows."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try them, in batches."""
        batches = 1 if ground.depth.short else _BATCHES
        drawn = resources(batches * _BATCH)
        async with ground.lane() as lane, course.resting(ground, lane) as stage:
            for number in range(batches):
                yield await _try(lane, stage, number, drawn[number * _BATCH : (number + 1) * _BATCH])


async def _try(lane: Lane, stage: Stage, number: int, specs: list[Json]) -> Trial:
    pid, requests = lane.operator.pid(), lane.requests
    taken, broken = await _give(lane, stage, number, specs)
    began = time.monotonic()
    broken += await _answered(lane, taken)
    took = time.monotonic() - began
    broken += await _calm(lane, stage)
    broken += await _neighbour_grows(lane, stage, 2 + number % 3)
    if lane.operator.pid() != pid:
        broken.append("the operator was started anew")
    for ref in taken:
        await lane.kube.delete(ref)
    if left := await _left(lane, stage):
        broken.append(f"{left} objects are left of pools that were deleted")
    return Trial(
        name=f"{len(specs)} drawn, {len(taken)} of them taken",
        injected=len(specs),
        converged_seconds=took,
        broken=tuple(broken),
        orphans=left,
        api_calls=lane.requests - requests,
    )


async def _give(lane: Lane, stage: Stage, number: int, specs: list[Json]) -> tuple[list[ObjectRef], list[str]]:
    """Create a pool of each; gives those that the API server took, and what was wrong with its refusals."""
    taken, broken = [], []
    for index, change in enumerate(specs):
        try:
            taken.append(ref_of(await lane.kube.create(_body(stage, f"strange-{number}-{index}", change))))
        except errors.Unavailable as error:
            broken.append(f"the API server failed: {error}: {json.dumps(change)}")
        except errors.KubeError as error:
            if not str(error):
                broken.append(f"refused without a word: {json.dumps(change)}")
    return taken, broken


async def _answered(lane: Lane, taken: list[ObjectRef]) -> list[str]:
    """Wait until the operator has looked at each."""

    async def unanswered() -> list[Json]:
        pools = [await lane.kube.get(ref) for ref in taken]
        return [
            pool["spec"]
            for pool in pools
            if pool.get("status", {}).get("observedGeneration") != pool["metadata"]["generation"]
        ]

    async def all_are() -> bool:
        return not await unanswered()

    try:
        await until(all_are, seconds=_ANSWER_SECONDS, what="the operator has looked at each")
    except NotInTimeError as error:
        return [f"{error}: {json.dumps(await unanswered())}"]
    return []


def _body(stage: Stage, name: str, change: Json) -> Json:
    """What is drawn of an object stands beside what that had."""
    body = copy.deepcopy(pool_body(stage, name))
    spec = body["spec"]
    for field, drawn in change.items():
        both = isinstance(drawn, dict) and isinstance(spec.get(field), dict)
        spec[field] = spec[field] | drawn if both else drawn
    return body


async def _calm(lane: Lane, stage: Stage) -> list[str]:
    """What the operator goes on writing although nothing changes; half a minute's figures are written at most once."""
    await asyncio.sleep(_QUIET_SECONDS)
    lane.proxy.writes.reset()
    await asyncio.sleep(_QUIET_SECONDS)
    counts: dict[str, int] = {}
    for write in lane.proxy.writes.seen:
        if f"/{stage.namespace}/" in write.target:
            counts[str(write)] = counts.get(str(write), 0) + 1
    return [f"{count} times in {_QUIET_SECONDS:g} s: {what}" for what, count in counts.items() if count > 1]


async def _neighbour_grows(lane: Lane, stage: Stage, size: int) -> list[str]:
    stage.collector.say(POOL, Script(queue=QUEUE, waiting=size))

    async def has() -> bool:
        return len(lane.witness.ready_workers(stage.namespace, POOL)) == size

    try:
        await until(has, seconds=30, what=f"{size} workers of a good pool")
    except NotInTimeError as error:
        return [str(error)]
    return []


async def _left(lane: Lane, stage: Stage) -> int:
    """How many objects of pools other than the good one are there after a while."""
    found = 0

    async def none() -> bool:
        nonlocal found
        state = await lane.state(stage)
        found = sum(1 for line in state if '"name": "strange-' in line or '"workerpool.dev/pool": "strange-' in line)
        return found == 0

    try:
        await until(none, seconds=60, what="nothing is left", pause=1.0)
    except NotInTimeError:
        return found
    return 0
