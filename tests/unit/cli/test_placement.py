"""`wpool migrate` and `wpool reassign`: what a person may write."""

import pytest
from typer.testing import CliRunner

from workerpool_operator.cli.main import app
from workerpool_operator.cli.placement import LabelsError, labels_of


def test_labels_are_read_as_kubectl_reads_them() -> None:
    assert labels_of("zone=west-1, disk=,gpu=none") == {"zone": "west-1", "disk": "", "gpu": "none"}


@pytest.mark.parametrize("text", ["", "zone", "=west", "zone==west", "zone!=west", "zone=a,zone=b", "zone=a,"])
def test_what_is_no_label_is_said_to_be_none(text: str) -> None:
    with pytest.raises(LabelsError, match="write key=value"):
        labels_of(text)


def test_there_are_two_places() -> None:
    result = CliRunner().invoke(app, ["migrate", "thumbs", "--to", "elsewhere"])
    assert result.exit_code == 2
