"""What the rules of spec.scaling accept and refuse; for test_rules.py."""

from typing import Any

SHARE_WORDS = 'write a share from "0.01" to 1; a fraction has up to 3 digits and needs quotes'

ACCEPTED: dict[str, dict[str, Any]] = {
    "targets of what is measured": {
        "scaling": {"targets": {"jobLatencySeconds": 1, "utilization": "0.75", "cpuUtilization": 1}}
    },
    "floors": {
        "scaling": {
            "warmReplicas": 3,
            "schedules": [
                {"cron": "0 7 * * 1-5", "timeZone": "Europe/Berlin", "durationSeconds": 36000, "minReplicas": 5},
                {"cron": "*/5 0-6,22 1 JAN SUN#1", "durationSeconds": 60, "minReplicas": 1},
            ],
            "fallback": {"afterSeconds": 60, "behavior": "Replicas", "replicas": 5},
        }
    },
    "a fallback that only waits": {"scaling": {"fallback": {"behavior": "Hold"}}},
    "limits": {
        "scaling": {
            "scaleUp": {"stabilizationSeconds": 3600, "maxPodsPerMinute": 1, "maxPercentPerMinute": 1000},
            "scaleDown": {"maxPodsPerMinute": 1, "maxPercentPerMinute": 100},
            "downstreamMaxConcurrency": 20,
        }
    },
    "a downstream that bears one worker's jobs": {
        "scaling": {"downstreamMaxConcurrency": 5},
        "delivery": {"concurrencyPerWorker": 5},
    },
    "a forecast that is only shown": {"scaling": {"predictive": {"mode": "observe"}}},
    "a floor by weeks": {
        "scaling": {"predictive": {"mode": "enabled", "horizonSeconds": 86_400, "seasonSeconds": 604_800}}
    },
    "a share of a budget": {"scaling": {"budget": {"name": "gpu-team", "priority": 1000}}},
    "the finest share": {"scaling": {"targets": {"utilization": "0.01", "cpuUtilization": "0.999"}}},
}

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a budget of no name": ({"scaling": {"budget": {"priority": 1}}}, "spec.scaling.budget.name", "Required value"),
    "a forecast of nearly a whole season": (
        {"scaling": {"predictive": {"horizonSeconds": 901, "seasonSeconds": 3600}}},
        "spec.scaling.predictive.horizonSeconds",
        "horizonSeconds must be at most a quarter of seasonSeconds: lower horizonSeconds",
    ),
    "a season of a month": (
        {"scaling": {"predictive": {"seasonSeconds": 2_592_000}}},
        "spec.scaling.predictive.seasonSeconds",
        "less than or equal to 604800",
    ),
    "a forecast that acts by another word": (
        {"scaling": {"predictive": {"mode": "act"}}},
        "spec.scaling.predictive.mode",
        'supported values: "disabled", "observe", "enabled"',
    ),
    "a priority above all": (
        {"scaling": {"budget": {"name": "team", "priority": 1001}}},
        "spec.scaling.budget.priority",
        "less than or equal to 1000",
    ),
    # name -> (spec, field, words)
    "a downstream that bears less than one worker's jobs": (
        {"scaling": {"downstreamMaxConcurrency": 19}},
        "spec.scaling.downstreamMaxConcurrency",
        "lower delivery.concurrencyPerWorker or worker.maxWorkers",
    ),
    "a fallback to no number": (
        {"scaling": {"fallback": {"behavior": "Replicas"}}},
        "spec.scaling.fallback.replicas",
        "behavior Replicas needs a number: write replicas beside it",
    ),
    "a time of four fields": (
        {"scaling": {"schedules": [{"cron": "0 7 * *", "durationSeconds": 60, "minReplicas": 1}]}},
        "spec.scaling.schedules[0].cron",
        "write five fields, for minute, hour, day of the month, month and day of the week",
    ),
    "a floor of nobody": (
        {"scaling": {"schedules": [{"cron": "0 7 * * *", "durationSeconds": 60, "minReplicas": 0}]}},
        "spec.scaling.schedules[0].minReplicas",
        "greater than or equal to 1",
    ),
    "shrinking by more than all": (
        {"scaling": {"scaleDown": {"maxPercentPerMinute": 101}}},
        "spec.scaling.scaleDown.maxPercentPerMinute",
        "less than or equal to 100",
    ),
    "a share of nothing": (
        {"scaling": {"targets": {"utilization": "0.00"}}},
        "spec.scaling.targets.utilization",
        SHARE_WORDS,
    ),
    "a share above the whole": (
        {"scaling": {"targets": {"utilization": 2}}},
        "spec.scaling.targets.utilization",
        SHARE_WORDS,
    ),
    "a share in percent": (
        {"scaling": {"targets": {"cpuUtilization": "70%"}}},
        "spec.scaling.targets.cpuUtilization",
        SHARE_WORDS,
    ),
}
