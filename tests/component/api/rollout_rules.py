"""What `spec.rollout` may hold, and what is refused of it: field and words."""

from typing import Any, Final

RATIO_WORDS: Final = "write a ratio from 1, below 1000"
SHARE_WORDS: Final = 'write a share from "0.5" to "0.99999" in quotes'
CHANCE_WORDS: Final = 'write a chance above 0 and below 1 in quotes, such as "0.05"'


def analysis(**fields: Any) -> dict[str, Any]:
    return {"rollout": {"strategy": "Canary", "analysis": fields}}


def steps(*weights: int) -> dict[str, Any]:
    return {"rollout": {"strategy": "Canary", "steps": [{"weight": weight} for weight in weights]}}


ACCEPTED: Final[dict[str, dict[str, Any]]] = {
    "a canary by the defaults": {"rollout": {"strategy": "Canary"}},
    "promises": {"slo": {"availability": "0.99999", "jobLatencySeconds": 1, "jobLatencyQuantile": "0.5"}},
    "promises of the queue": {"slo": {"queueDepth": "0.99", "throughput": "0.9"}},
    "no canary": {"rollout": {"strategy": "Rolling"}},
    "a canary with as many steps as there may be": steps(*range(1, 20), 19),
    "a canary in the finest words": analysis(
        tolerateRatio=1, rejectRatio="1.01", falseAlarm="0.001", acceptableFailureRate="0.999"
    ),
    "a canary that people decide on": {
        "rollout": {
            "strategy": "Canary",
            "steps": [{"weight": 99, "durationSeconds": 1, "minJobs": 1, "pause": True}],
            "analysis": {"failureBudget": 5, "onInconclusive": "Rollback"},
            "surge": 100,
            "whenIdle": "Promote",
            "autoPromote": False,
            "autoRollback": False,
        }
    },
}

REFUSED: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    "canary without a worker": (steps(0), "spec.rollout.steps[0].weight", "greater than or equal to 1"),
    "canary of all workers": (steps(100), "spec.rollout.steps[0].weight", "less than or equal to 99"),
    "canary without a step": (steps(), "spec.rollout.steps", "should have at least 1 items"),
    "canary that steps back": (steps(10, 5), "spec.rollout.steps", "put the steps in order"),
    "canary that tolerates what it rejects": (
        analysis(tolerateRatio=3),
        "spec.rollout.analysis.tolerateRatio",
        "tolerateRatio must be below rejectRatio",
    ),
    "canary that has to be better": (
        analysis(tolerateRatio="0.9"),
        "spec.rollout.analysis.tolerateRatio",
        RATIO_WORDS,
    ),
    "canary without a chance": (analysis(falseAlarm="0.000"), "spec.rollout.analysis.falseAlarm", CHANCE_WORDS),
    "canary that may always fail": (
        analysis(acceptableFailureRate="1"),
        "spec.rollout.analysis.acceptableFailureRate",
        CHANCE_WORDS,
    ),
    "change of version without one worker more": (
        {"rollout": {"surge": 0}},
        "spec.rollout.surge",
        "greater than or equal to 1",
    ),
    "promise that every job succeeds": ({"slo": {"availability": "1"}}, "spec.slo.availability", SHARE_WORDS),
    "promise of a depth instead of a share": ({"slo": {"queueDepth": "200"}}, "spec.slo.queueDepth", SHARE_WORDS),
    "promise of a rate instead of a share": ({"slo": {"throughput": "10"}}, "spec.slo.throughput", SHARE_WORDS),
    "promise in percent": ({"slo": {"availability": "99.9"}}, "spec.slo.availability", SHARE_WORDS),
    "promise for a few jobs": (
        {"slo": {"jobLatencySeconds": 5, "jobLatencyQuantile": "0.4"}},
        "spec.slo.jobLatencyQuantile",
        SHARE_WORDS,
    ),
    "promise of no time": ({"slo": {"jobLatencySeconds": 0}}, "spec.slo.jobLatencySeconds", "greater than or equal"),
    "strategy of the Deployment": (
        {"rollout": {"strategy": "RollingUpdate"}},
        "spec.rollout.strategy",
        'supported values: "Canary", "Rolling"',
    ),
}
