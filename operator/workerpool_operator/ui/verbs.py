"""The buttons: what they are called, when they fit, what they write. Each is what the command of that name does.

A button names the version that its page showed, so one that comes late does not hit the version after.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from workerpool_operator.domain.desired import RESTART_ANNOTATION
from workerpool_operator.domain.rollout.commands import Verb
from workerpool_operator.domain.rollout.steps import Wait
from workerpool_operator.domain.scaling import DRAIN, THROTTLE
from workerpool_operator.domain.scaling.overrides import PAUSED
from workerpool_operator.kube import ClusterAccess, KubeError
from workerpool_operator.ui import drains
from workerpool_operator.ui.fields import labels, number
from workerpool_operator.ui.outcomes import NotDoneError, StaleError
from workerpool_operator.ui.shared import (
    ANSWER_SECONDS,
    NotInTimeError,
    RefusedError,
    TroubleError,
    annotate,
    change_primary,
    destinations,
    expect_answers,
    expect_operator,
    keeps_rates,
    meant,
    move,
    no_node_has,
    none_has,
    question,
    rollout_of,
    slow_down,
    suspend,
    tell,
    wait_for_answer,
)

Json = Mapping[str, Any]

MOST_PER_SECOND: Final = 999_999.0
LONGEST_MINUTES: Final = 10_080.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One that fits now."""

    verb: str
    label: str
    help: str
    """What it does, for its tooltip and for screen readers."""
    confirm: str = ""
    """Asked first: as the commands do (`cli/consent.py`)."""
    version: str = ""
    """The version that is meant, where it is about one."""
    step: int | None = None
    """The step of its rollout that it ends, where it ends one."""
    throttle: bool = False
    """Whether it takes a rate and minutes."""
    labels: bool = False
    """Whether it takes labels of nodes."""
    nodes: bool = False
    """Whether it takes one of the nodes that the workers are on, and minutes."""


def buttons(pool: Json) -> list[Button]:
    """Those that fit what the pool is doing."""
    found = [*_rollout_buttons(pool), _switch(pool), *_size_buttons(pool), *_place_buttons(pool)]
    return [replace(button, confirm=_question(pool, button)) for button in found]


def _question(pool: Json, button: Button) -> str:
    if button.nodes:
        return ""  # who is on the node, the cluster tells when it is pressed
    verb, _, place = button.verb.partition("-") if button.verb.startswith("migrate-") else (button.verb, "", "")
    return question(verb, pool=pool["metadata"]["name"], version=button.version, place=place)


def _switch(pool: Json) -> Button:
    if (pool.get("spec") or {}).get("suspend"):
        return Button(verb="start", label="Start", help="Have as many workers again as the queues ask for")
    return Button(
        verb="stop",
        label="Stop",
        help="Let all workers end their jobs and go",
    )


def _rollout_buttons(pool: Json) -> list[Button]:
    rollout = rollout_of(pool)
    canary, wanted = str(rollout.get("canary") or ""), str(rollout.get("wanted") or "")
    if canary:
        return [
            Button(
                verb="promote",
                label="Promote",
                help="End this step as if it were passed",
                version=canary,
                step=rollout.get("step") or None,
            ),
            Button(
                verb="promote-full",
                label="Promote fully",
                help="Make the new version the stable one now",
                version=canary,
            ),
            Button(
                verb="abort",
                label="Abort",
                help="Go back to the stable version",
                version=canary,
            ),
            Button(verb="resume", label="Resume rollout", help="Go on, after a pause", version=canary)
            if rollout.get("wait") == Wait.PAUSE
            else Button(verb="pause", label="Pause rollout", help="Stay at this step until resumed", version=canary),
        ]
    if wanted and wanted in (rollout.get("rejected") or ()):
        return [Button(verb="retry", label="Retry", help="Try the rejected version again", version=wanted)]
    return []


def _size_buttons(pool: Json) -> list[Button]:
    held = (pool["metadata"].get("annotations") or {}).get(PAUSED) == "true"
    found = [
        Button(verb="release-size", label="Release size", help="Let the size follow the queues again")
        if held
        else Button(
            verb="hold-size",
            label="Hold size",
            help="Keep the number of workers as it is",
        )
    ]
    if _paceable(pool):
        found.append(
            Button(verb="throttle", label="Throttle", help="Begin fewer jobs per second for a while", throttle=True)
        )
        if throttle_of(pool):
            found.append(Button(verb="unthrottle", label="End throttle", help="End the throttle now"))
    found.append(
        Button(
            verb="restart",
            label="Restart workers",
            help="Replace all workers by new ones; busy ones end their jobs first",
        )
    )
    return found


def _place_buttons(pool: Json) -> list[Button]:
    found = [
        Button(
            verb=f"migrate-{place}",
            label=f"Migrate to {place}",
            help=f"Let the workers belong to the {place} place",
        )
        for place in destinations(pool)
    ]
    reassign = Button(
        verb="reassign",
        label="Reassign",
        help="Give the pool another primary place: nodes with these labels",
        labels=True,
    )
    drain = Button(
        verb="drain-node",
        label="Drain node",
        help="Cordon a node, and let its workers end their jobs and go, one at a time",
        nodes=True,
    )
    found += [reassign, drain]
    if drains.in_force(pool):
        stay = "Let the workers of this pool stay that have not begun to leave; the node stays cordoned"
        found.append(Button(verb="end-drain", label="End drain", help=stay))
    return found


def throttle_of(pool: Json) -> str:
    """The throttle that is in force, in words; empty: none."""
    text = str((pool["metadata"].get("annotations") or {}).get(THROTTLE) or "")
    rate, _, until = text.partition("@")
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        return ""
    if end.tzinfo is None or end <= datetime.now(UTC):
        return ""
    return f"at most {rate} jobs/s until {end.astimezone(UTC):%H:%M:%S} UTC"


def _paceable(pool: Json) -> bool:
    try:
        return keeps_rates(dict(pool))
    except TroubleError:
        return False


async def do(access: ClusterAccess, pool: Json, verb: str, said: Mapping[str, str]) -> str:
    """Write it, with the user's rights; what to tell.

    Raises:
        StaleError: it does not fit any more, or never did.
        AskFirstError: only the cluster can word what is asked first; nothing is done before a person has agreed.
        NotDoneError: no operator runs that would do it, or none has answered in time.
        TroubleError: it cannot be done with this pool, or `said` is not what it takes.
        KubeError: the API server refuses, or does not answer.
    """
    button = next((one for one in buttons(pool) if one.verb == verb), None)
    if button is None:
        raise StaleError("This does not fit what the pool is doing now. Nothing was done.")
    if button.nodes:
        return f"{button.label}: {await drains.drain(access, pool, said)}"
    namespace, name = pool["metadata"]["namespace"], pool["metadata"]["name"]
    if button.version:
        if said.get("version") != button.version or meant(pool) != button.version:
            raise StaleError(f"The pool is at version {button.version} by now. Look again; nothing was done.")
        if button.step is not None and said.get("step") != str(button.step):
            raise StaleError(f"The rollout is at step {button.step} by now. Look again; nothing was done.")
        await _decide(access, namespace, name, button)
        return f"{button.label}: done."
    await _write(access, namespace, name, verb, said)
    try:
        await expect_operator(access, namespace)
    except TroubleError as error:
        raise NotDoneError(f"{button.label}: {error}") from None
    return f"{button.label}: done.{await _but(access, verb, said)}"


async def _decide(access: ClusterAccess, namespace: str, name: str, button: Button) -> None:
    """Tell the operator, and hear what it says to that, as `wpool rollout` does."""
    told = await tell(access, namespace, name, Verb(button.verb), version=button.version, step=button.step)
    try:
        await expect_answers(access, namespace)
        await wait_for_answer(access, namespace, name, command=told.id, seconds=ANSWER_SECONDS)
    except RefusedError as error:
        raise StaleError(f"{button.label}: {error}. Nothing was done.") from None
    except NotInTimeError as error:
        raise NotDoneError(f"{button.label}: {error}") from None


async def _write(access: ClusterAccess, namespace: str, name: str, verb: str, said: Mapping[str, str]) -> None:
    match verb:
        case "stop" | "start":
            await suspend(access, namespace, name, wanted=verb == "stop")
        case "hold-size":
            await annotate(access, namespace, name, {PAUSED: "true"})
        case "release-size":
            await annotate(access, namespace, name, {PAUSED: None})
        case "restart":
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            await annotate(access, namespace, name, {RESTART_ANNOTATION: now})
        case "migrate-primary" | "migrate-secondary":
            await move(access, namespace, name, to=verb.removeprefix("migrate-"))
        case "reassign":
            await change_primary(access, namespace, name, selector=labels(said))
        case "throttle":
            rate = number(said.get("rate", ""), "jobs per second", 0.001, MOST_PER_SECOND)
            minutes = number(said.get("minutes", ""), "minutes", 0.1, LONGEST_MINUTES)
            await slow_down(access, namespace, name, per_second=rate, minutes=minutes)
        case "end-drain":
            await annotate(access, namespace, name, {DRAIN: None})
        case _:
            await annotate(access, namespace, name, {THROTTLE: None})


async def _but(access: ClusterAccess, verb: str, said: Mapping[str, str]) -> str:
    """What is to be known of what was done, behind it; empty: nothing, or it cannot be seen."""
    if verb == "reassign":
        with contextlib.suppress(KubeError):
            selector = labels(said)
            if await no_node_has(access, selector):
                return f" But {none_has(selector)}."
    return ""
