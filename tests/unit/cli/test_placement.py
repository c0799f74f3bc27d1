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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b=c", "keys are written as name or example.com/name"),
        ("-a=b", "keys are written as name or example.com/name"),
        ("Example.com/a=b", "keys are written as name or example.com/name"),
        (f"{'a' * 254}/b=c", "keys are written as name or example.com/name"),
        ("zone=b c", "label values have at most 63 characters"),
        ("zone=-b", "label values have at most 63 characters"),
        (f"zone={'b' * 64}", "label values have at most 63 characters"),
    ],
)
def test_what_kubernetes_refuses_is_refused_here_in_the_words_of_the_rule(text: str, words: str) -> None:
    """Before anything is asked or written."""
    with pytest.raises(LabelsError, match=words):
        labels_of(text)
    shown = CliRunner().invoke(app, ["reassign", "thumbs", "--primary", text], env={"COLUMNS": "400"})
    assert (shown.exit_code, words in shown.stderr) == (2, True)


def test_there_are_two_places() -> None:
    result = CliRunner().invoke(app, ["migrate", "thumbs", "--to", "elsewhere"])
    assert result.exit_code == 2
