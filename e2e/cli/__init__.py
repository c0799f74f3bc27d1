"""`wpool` as a process of its own on the real cluster, and which command is tried where."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final

from e2e.scene import Scene
from e2e.support.wait import wait_for

TRIED: Final = {
    "adopt": "test_adopt.py::test_a_running_deployment_is_adopted_and_no_job_is_cut_off",
    "chaos": "test_chaos.py::test_wpool_kills_a_busy_worker_and_loses_no_job",
    "checklist": "test_cli.py::test_checklist_goes_through_a_pool",
    "cost": "test_alerts.py::test_cost_and_report_tell_what_a_pool_has_done",
    "describe": "test_cli.py::test_describe_tells_all_on_one_page",
    "dlq list": "test_cli.py::test_dead_letters_are_listed_shown_redriven_and_purged",
    "dlq purge": "test_cli.py::test_dead_letters_are_listed_shown_redriven_and_purged",
    "dlq redrive": "test_cli.py::test_dead_letters_are_listed_shown_redriven_and_purged",
    "dlq show": "test_cli.py::test_dead_letters_are_listed_shown_redriven_and_purged",
    "doctor": "test_cli.py::test_doctor_looks_at_the_cluster",
    "drain": "test_cli_changes.py::test_drain_empties_a_node_and_interrupts_no_job",
    "dump": "test_look.py::test_a_worker_at_work_tells_what_it_does",
    "events": "test_cli.py::test_events_tell_what_happened",
    "explain": "test_cli.py::test_explain_tells_why_this_size",
    "flame": "test_look.py::test_a_worker_at_work_tells_what_it_does",
    "get": "test_cli.py::test_get_shows_a_line_and_watches",
    "job status": "test_cli.py::test_job_status_finds_a_job",
    "load": "test_cli_changes.py::test_load_feeds_a_pool_and_throttle_slows_it_down",
    "logs": "test_cli.py::test_logs_are_of_all_workers_and_are_chosen",
    "migrate": "test_cli_changes.py::test_migrate_and_reassign_move_workers",
    "reassign": "test_cli_changes.py::test_migrate_and_reassign_move_workers",
    "report": "test_alerts.py::test_cost_and_report_tell_what_a_pool_has_done",
    "restart": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout abort": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout get": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout history": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout pause": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout promote": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout resume": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout retry": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout status": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "rollout undo": "test_cli_changes.py::test_restart_replaces_workers_and_rollout_commands_decide",
    "silence": "test_cli_changes.py::test_silence_quiets_the_alerts_of_a_pool",
    "start": "test_cli_changes.py::test_stop_and_start",
    "stop": "test_cli_changes.py::test_stop_and_start",
    "throttle": "test_cli_changes.py::test_load_feeds_a_pool_and_throttle_slows_it_down",
    "top": "test_cli.py::test_top_tells_who_has_work",
    "ui": "test_page.py::test_a_pool_is_stopped_and_started_by_its_buttons",
}
"""Command -> the test that tries it with real pods."""
LOCAL: Final = frozenset(
    {"bench", "check", "completion", "init", "lint", "profile", "simulate", "size", "sweep", "tls"}
)
"""These ask no cluster."""


def wpool(
    scene: Scene, *words: str, kubeconfig: Path | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """The command at its end, as the cluster's administrator if nobody else is named."""
    return subprocess.run(
        _command(*words),
        env=_environment(scene, kubeconfig),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=seconds,
    )


def started(scene: Scene, *words: str) -> subprocess.Popen[str]:
    """The command while it goes on, for one that does not end by itself."""
    environment = _environment(scene, None) | {"PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        _command(*words),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class Follower:
    """What a command writes while it goes on."""

    def __init__(self, scene: Scene, *words: str) -> None:
        self.lines: list[str] = []
        self.process = started(scene, *words)
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream as lines:
            self.lines.extend(lines)

    def wait_for(self, pattern: str) -> str:
        """The first line with this in it."""

        def found() -> str:
            return next((line for line in list(self.lines) if re.search(pattern, line)), "")

        return wait_for(found, seconds=60, what=f"a line with {pattern!r}")

    def end(self) -> None:
        """Stop it, and read what is left."""
        self.process.terminate()
        self.process.wait(timeout=20)
        self._reader.join(timeout=10)


def done(scene: Scene, *words: str, seconds: float = 120) -> str:
    """What it writes; it has to succeed."""
    shown = wpool(scene, *words, seconds=seconds)
    assert shown.returncode == 0, f"wpool {' '.join(words)}: {shown.returncode}\n{shown.stdout}\n{shown.stderr}"
    return shown.stdout


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "workerpool_operator.cli", *words]


def _environment(scene: Scene, kubeconfig: Path | None) -> dict[str, str]:
    environment = dict(scene.kubectl.environment) | {"NO_COLOR": "1"}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    return environment
