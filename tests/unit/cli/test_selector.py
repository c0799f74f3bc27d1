"""Label selectors that are typed: the tests on the API server hold the same table against it."""

import pytest
import typer

from tests.support.selectors import ACCEPTED, REFUSED
from workerpool_operator.cli.get.selector import selecting


@pytest.mark.parametrize("selector", ACCEPTED)
def test_what_the_api_server_takes_is_sent(selector: str) -> None:
    assert selecting(selector) == selector


@pytest.mark.parametrize("selector", REFUSED)
def test_what_it_would_refuse_is_wrong_usage(selector: str) -> None:
    with pytest.raises(typer.BadParameter, match="no label selector"):
        selecting(selector)
