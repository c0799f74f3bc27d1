"""What `wpool check` finds, and what it lets pass."""

import json
from pathlib import Path
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.check.files import UnreadableError, check_text
from workerpool_operator.cli.check.findings import ADVICE, Finding, Rule
from workerpool_operator.cli.check.rules import RULES
from workerpool_operator.cli.main import app

ROOT = Path(__file__).parents[3]
HEAD = """\
import asyncio, time, threading, itertools, subprocess, queue
import requests, httpx, aiohttp, asyncpg
import redis.asyncio as aredis
from workerpool import Worker
worker = Worker()
lock = asyncio.Lock()
sem = asyncio.Semaphore(8)
client = httpx.AsyncClient()
async def fetch(url): ...
async def bounded(url):
    async with sem:
        return await fetch(url)
"""


def found(code: str) -> list[Finding]:
    return check_text(HEAD + dedent(code), file="worker.py")


def rules(code: str) -> list[str]:
    return [finding.rule.value for finding in found(code)]


GOOD = {
    "gather of what is written out": "async def f(): await asyncio.gather(fetch(1), fetch(2))",
    "gather over a list that is written out": "async def f(): await asyncio.gather(*[fetch(u) for u in ('a', 'b')])",
    "gather over a constant": "async def f(): await asyncio.gather(*[fetch(u) for u in SITES])",
    "gather over a short range": "async def f(): await asyncio.gather(*[fetch(u) for u in range(8)])",
    "gather of what takes a semaphore": "async def f(urls): await asyncio.gather(*[bounded(u) for u in urls])",
    "gather over batches": """
        async def f(urls):
            for batch in itertools.batched(urls, 8):
                await asyncio.gather(*[fetch(u) for u in batch])
        """,
    "gather over slices": "async def f(urls): await asyncio.gather(*(fetch(u) for u in urls[:8]))",
    "gather of tasks that were made elsewhere": "async def f(tasks): await asyncio.gather(*tasks)",
    "tasks behind a semaphore": """
        async def f(urls):
            tasks = []
            for url in urls:
                await sem.acquire()
                tasks.append(asyncio.create_task(fetch(url)))
        """,
    "tasks that are counted": """
        async def f(urls):
            tasks = set()
            for url in urls:
                if len(tasks) >= 8:
                    _, tasks = await asyncio.wait(tasks, timeout=9)
                tasks.add(asyncio.create_task(fetch(url)))
        """,
    "a chosen number of workers": """
        WORKERS = 8
        async def f(jobs):
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(fetch(jobs))
        """,
    "a task that a group holds": """
        async def f():
            async with asyncio.TaskGroup() as group:
                group.create_task(fetch(1))
        """,
    "a task that is kept": "async def f():\n    task = asyncio.create_task(fetch(1))\n    await task",
    "requests with a timeout": "def f(): requests.get('u', timeout=5)",
    "requests with unknown arguments": "def f(**more): requests.get('u', **more)",
    "httpx, which has a default": "async def f(): await client.get('u')",
    "aiohttp with a timeout": "async def f(): aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))",
    "redis with a timeout": "r = aredis.Redis(socket_timeout=2)",
    "a main program that waits for its end": "def main():\n    stop = threading.Event()\n    stop.wait()",
    "a connection within a timeout": """
        async def f():
            async with asyncio.timeout(5):
                await asyncio.open_connection('h', 1)
        """,
    "a wait in a job with a timeout": """
        @worker.job('x', timeout=5)
        async def f(job): await asyncio.wait([job])
        """,
    "sleep in a plain function": "def f(): time.sleep(1)",
    "sleep in another thread": "async def f(): await asyncio.to_thread(time.sleep, 1)",
    "sleep in a function for a thread": "async def f():\n    def g(): time.sleep(1)\n    await asyncio.to_thread(g)",
    "a blocking coroutine in the thread lane": """
        @worker.job('x', timeout=5, kind='thread')
        async def f(job): time.sleep(1)
        """,
    "a function of the same name as a module's": "async def f(sleep): sleep(1)",
    "a thing that has the name of a library": "async def f(requests): requests.get('u')",
    "a session that may be of any library": """
        def g():
            session = requests.Session()
            session.get('u', timeout=1)
        async def f(session): session.get('u')
        """,
    "a lock around memory": "async def f(d):\n    async with lock:\n        await asyncio.sleep(0)",
    "a semaphore around the network": "async def f():\n    async with sem:\n        await client.get('u')",
    "the network before the lock": """
        async def f(d):
            answer = await client.get('u')
            async with lock: d['a'] = answer
        """,
}


@pytest.mark.parametrize("code", GOOD.values(), ids=GOOD.keys())
def test_lets_pass(code: str) -> None:
    assert found(code) == []


BAD = {
    "gather over a list": ("async def f(urls): await asyncio.gather(*[fetch(u) for u in urls])", "unbounded-gather"),
    "gather over a generator": (
        "async def f(urls): await asyncio.gather(*(fetch(u) for u in urls))",
        "unbounded-gather",
    ),
    "gather over map": ("async def f(urls): await asyncio.gather(*map(fetch, urls))", "unbounded-gather"),
    "gather over a name": (
        "async def f(urls):\n    calls = [fetch(u) for u in urls]\n    await asyncio.gather(*calls)",
        "unbounded-gather",
    ),
    "as_completed": (
        "async def f(urls):\n    for x in asyncio.as_completed([fetch(u) for u in urls]): pass",
        "unbounded-gather",
    ),
    "tasks in a loop": (
        "async def f(urls):\n    kept = []\n    for u in urls:\n        kept.append(asyncio.create_task(fetch(u)))",
        "unbounded-tasks",
    ),
    "tasks in a comprehension": (
        "async def f(us): return [asyncio.create_task(fetch(u)) for u in us]",
        "unbounded-tasks",
    ),
    "tasks in a group": (
        "async def f(us):\n  async with asyncio.TaskGroup() as g:\n    for u in us:\n      g.create_task(fetch(u))",
        "unbounded-tasks",
    ),
    "tasks for ever": (
        "async def f(q):\n  kept = set()\n  while True:\n    kept.add(asyncio.create_task(fetch(await q.get())))",
        "unbounded-tasks",
    ),
    "requests": ("def f(): requests.post('u')", "missing-timeout"),
    "a session of requests": ("def f():\n    with requests.Session() as s:\n        s.get('u')", "missing-timeout"),
    "httpx, switched off": ("c = httpx.AsyncClient(timeout=None)", "missing-timeout"),
    "aiohttp": ("async def f(): return aiohttp.ClientSession()", "missing-timeout"),
    "aiohttp, switched off": (
        "async def f(): return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))",
        "missing-timeout",
    ),
    "asyncpg": ("async def f(): return await asyncpg.create_pool('dsn')", "missing-timeout"),
    "redis": ("r = aredis.Redis.from_url('redis://x')", "missing-timeout"),
    "a job": ("@worker.job('x')\nasync def f(job): ...", "missing-timeout"),
    "a wait in a job": ("@worker.job('x', timeout=9)\ndef f(job):\n    threading.Event().wait()", "missing-timeout"),
    "subprocess": ("def f(): subprocess.run(['ls'])", "missing-timeout"),
    "sleep": ("async def f(): time.sleep(1)", "blocking-call"),
    "a blocking request": ("async def f(): requests.get('u', timeout=1)", "blocking-call"),
    "a blocking request of httpx": ("async def f(): httpx.get('u')", "blocking-call"),
    "a blocking process": ("async def f(): subprocess.run(['ls'], timeout=1)", "blocking-call"),
    "a file": ("async def f():\n    with open('x') as file:\n        return file.read()", "blocking-call"),
    "what it calls blocks": ("def g(): time.sleep(1)\nasync def f(): g()", "blocking-call"),
    "a dropped task": ("async def f():\n    asyncio.create_task(fetch(1))", "dropped-task"),
    "a task dropped by its loop": (
        "async def f():\n    loop = asyncio.get_running_loop()\n    loop.create_task(fetch(1))",
        "dropped-task",
    ),
    "a lock over the network": (
        "async def f():\n    async with lock:\n        await client.get('u')",
        "lock-over-network",
    ),
    "a lock of the object": (
        """
        class A:
            def __init__(self): self.l = asyncio.Lock()
            async def f(self):
                async with self.l: await self.session.get('u')
        """,
        "lock-over-network",
    ),
    "a lock of threads over an await": (
        "guard = threading.Lock()\nasync def f():\n    with guard:\n        await fetch(1)",
        "lock-over-network",
    ),
}


@pytest.mark.parametrize(("code", "rule"), BAD.values(), ids=BAD.keys())
def test_finds(code: str, rule: str) -> None:
    assert rules(code) == [rule]


def test_each_rule_has_its_check_its_advice_and_a_case() -> None:
    assert set(RULES) == set(ADVICE) == set(Rule) == {Rule(rule) for _, rule in BAD.values()}


def test_a_finding_tells_the_line_of_what_blocks_further_down() -> None:
    [finding] = found("def g():\n    time.sleep(1)\nasync def f():\n    g()")
    first = HEAD.count("\n")
    assert (finding.line, finding.column) == (first + 4, 5)
    assert f"time.sleep() in line {first + 2}" in finding.what


@pytest.mark.parametrize(
    "comment", ["# wpool: ignore", "# wpool: ignore[blocking-call]", "#wpool: ignore[a,blocking-call]"]
)
def test_a_comment_takes_a_finding_back(comment: str) -> None:
    assert found(f"async def f():\n    time.sleep(1)  {comment}: played time") == []
    assert found(f"async def f():\n    time.sleep(\n        1\n    )  {comment}") == []


@pytest.mark.parametrize("comment", ["# wpool: ignore[dropped-task]", "'# wpool: ignore'", "# wpool ignore"])
def test_a_comment_for_something_else_takes_nothing_back(comment: str) -> None:
    assert rules(f"async def f():\n    time.sleep(1); {comment}") == ["blocking-call"]


def test_what_is_no_python_is_said() -> None:
    with pytest.raises(UnreadableError, match="this Python cannot read it"):
        check_text("def f(:", file="worker.py")


@pytest.mark.parametrize("folder", ["workers/reference", "workers/examples"])
def test_the_workers_to_copy_from_are_clean(folder: str) -> None:
    shown = CliRunner().invoke(app, ["check", str(ROOT / folder)])
    assert (shown.exit_code, shown.stdout) == (0, "")


def test_findings_are_written_in_three_forms(tmp_path: Path) -> None:
    file = tmp_path / "worker.py"
    file.write_text("import time\nasync def f():\n    time.sleep(1)\n")
    text = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert text.exit_code == 1
    assert text.stdout.startswith(f"{file}:3:5: blocking-call: time.sleep() blocks")
    [finding] = json.loads(CliRunner().invoke(app, ["check", str(file), "--format", "json"]).stdout)
    assert (finding["line"], finding["rule"], finding["file"]) == (3, "blocking-call", str(file))
    command = CliRunner().invoke(app, ["check", str(file), "--format", "github"]).stdout
    assert command.startswith(f"::warning file={file},line=3,col=5,title=wpool check blocking-call::time.sleep()")
    assert "%0AWhy: " in command
    assert command.count("\n") == 1


def test_no_findings_are_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("")
    assert json.loads(CliRunner().invoke(app, ["check", str(tmp_path), "--format", "json"]).stdout) == []


@pytest.mark.parametrize("content", [None, "def f(:", "# coding: nonsense"])
def test_files_that_cannot_be_read_are_wrong_usage(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "worker.py").write_text(content)
    assert CliRunner().invoke(app, ["check", str(tmp_path / "worker.py")]).exit_code == 2


def test_a_folder_is_read_without_what_is_installed_in_it(tmp_path: Path) -> None:
    for folder in (".venv", "lib/site-packages", "src"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.py").write_text("import time\nasync def f(): time.sleep(1)\n")
    assert CliRunner().invoke(app, ["check", str(tmp_path)]).stdout.count("blocking-call:") == 1
