"""The first moments of `wpool`: Ctrl-C in them, and what is not imported for who only asks what there is."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("aiohttp", "kubernetes", "workerpool_operator.api", "workerpool.", "yaml")
"""What takes a second together, and what nobody needs who asks no cluster."""
STARTS = {
    "wpool": "from workerpool_operator.cli.start import wpool; wpool('wpool')",
    "kubectl_complete-wpool": "from workerpool_operator.cli.start import completing_for_kubectl as go; go()",
}


@pytest.mark.parametrize("program", STARTS)
def test_ctrl_c_while_it_still_imports_ends_it_without_a_traceback(program: str, tmp_path: Path) -> None:
    """Whoever types it has seen that it was the wrong command."""
    begun = tmp_path / "begun"
    # In the place of the first that is imported: it never comes to an end.
    (tmp_path / "typer.py").write_text(f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['wpool', 'get']; {STARTS[program]}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not begun.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["--version"], {}),
        (["--help"], {}),
        ([], {"_WPOOL_COMPLETE": "complete_bash", "COMP_WORDS": "wpool rol", "COMP_CWORD": "1"}),
    ],
    ids=["version", "help", "completion"],
)
def test_who_asks_what_there_is_waits_for_nothing_that_is_not_needed(words: list[str], env: dict[str, str]) -> None:
    """The commands and all that they bring are imported when one of them is run."""
    code = (
        "import atexit, json, sys; sys.argv = ['wpool', *json.loads(sys.argv[1])]; "
        "atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr)); "
        f"{STARTS['wpool']}"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, json.dumps(words)],
        check=False, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin", **env},
    )  # fmt: skip
    assert "rollout" in shown.stdout or words == ["--version"]
    assert "typer" in shown.stderr.split(), shown.stderr
    assert [name for name in shown.stderr.split() if name.startswith(HEAVY)] == []
