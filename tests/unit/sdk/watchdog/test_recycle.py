"""When a process has done enough."""

from workerpool.runtime.recycle import Recycle


def test_nothing_is_due_unless_it_is_asked_for() -> None:
    assert Recycle().due(jobs=10**9, resident_bytes=10**12) == ""
    assert Recycle().spread() == Recycle()


def test_jobs_and_memory_count() -> None:
    recycle = Recycle(after_jobs=10, rss_bytes=1000)
    assert recycle.due(jobs=9, resident_bytes=1000) == ""
    assert recycle.due(jobs=10, resident_bytes=0) == "it has run 10 jobs"
    assert recycle.due(jobs=0, resident_bytes=1001) == "its memory has grown to 1001 bytes"


def test_processes_that_began_together_end_apart_and_never_later_than_asked_for() -> None:
    ends = {Recycle(after_jobs=1000).spread().after_jobs for _ in range(50)}
    assert len(ends) > 5
    assert all(end is not None and 900 <= end <= 1000 for end in ends)
    assert Recycle(after_jobs=1).spread().after_jobs == 1
