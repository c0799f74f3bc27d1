"""What `make test-adapters` runs is all there."""

import pytest

from e2e.adapters.libraries import APPS_UNDER_TEST, HERE, App


@pytest.mark.parametrize("app", APPS_UNDER_TEST, ids=lambda app: app.name)
def test_every_library_has_an_app_and_hashes_of_what_it_installs(app: App) -> None:
    assert app.program.is_file()
    lock = HERE / "locks" / f"{app.library.lower()}.lock"
    assert lock.with_suffix(".in").is_file()
    pinned = [line for line in lock.read_text().splitlines() if line and not line.startswith(("#", " "))]
    assert pinned
    assert all("==" in line for line in pinned)
    assert "--hash=sha256:" in lock.read_text()
