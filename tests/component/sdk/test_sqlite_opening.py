"""A file that many processes open for the first time at once."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from workerpool.broker._sqlite.schema import open_file

pytestmark = pytest.mark.component


def test_the_first_users_of_a_file_do_not_fail_each_other(tmp_path: Path) -> None:
    errors: list[Exception] = []
    start = threading.Barrier(12)

    def open_it(number: int) -> None:
        start.wait()
        try:
            with closing(open_file(str(tmp_path / f"{number}.db"), 20.0)):
                pass
        except Exception as error:  # noqa: BLE001  shown below
            errors.append(error)

    for number in range(5):
        threads = [threading.Thread(target=open_it, args=(number,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
