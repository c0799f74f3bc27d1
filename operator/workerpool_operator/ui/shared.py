"""The seam to the commands: all that the page takes from them, so that both say the same of a pool."""

from workerpool_operator.cli.canary import canary_of
from workerpool_operator.cli.cluster import TroubleError, expect_operator, with_note
from workerpool_operator.cli.consent import question
from workerpool_operator.cli.cost import Line as CostLine
from workerpool_operator.cli.cost import lines as cost_lines
from workerpool_operator.cli.drain.node import Target as DrainTarget
from workerpool_operator.cli.drain.node import look as workers_on
from workerpool_operator.cli.drain.node import order as order_drain
from workerpool_operator.cli.drain.node import told as counted
from workerpool_operator.cli.get.rows import UNKNOWN, Row, condition
from workerpool_operator.cli.logs.silent import container_runs, has_log, is_stuck, why_silent
from workerpool_operator.cli.mirror import Mirror
from workerpool_operator.cli.oncall import annotate, keeps_rates, slow_down
from workerpool_operator.cli.placement import LabelsError, change_primary, labels_of, move, no_node_has, none_has
from workerpool_operator.cli.places import Placed, destinations, placed, progress
from workerpool_operator.cli.pods import LOST, lost_nodes
from workerpool_operator.cli.pods import pod_state as pod_word
from workerpool_operator.cli.prometheus import ask as ask_prometheus
from workerpool_operator.cli.rollout.ask import NotInTimeError, RefusedError, expect_answers, tell, wait_for_answer
from workerpool_operator.cli.rollout.command import ANSWER_SECONDS
from workerpool_operator.cli.rollout.state import meant, rollout_of
from workerpool_operator.cli.standing import shown_by_nobody
from workerpool_operator.cli.switch import suspend

__all__ = [
    "ANSWER_SECONDS",
    "LOST",
    "UNKNOWN",
    "CostLine",
    "DrainTarget",
    "LabelsError",
    "Mirror",
    "NotInTimeError",
    "Placed",
    "RefusedError",
    "Row",
    "TroubleError",
    "annotate",
    "ask_prometheus",
    "canary_of",
    "change_primary",
    "condition",
    "container_runs",
    "cost_lines",
    "counted",
    "destinations",
    "expect_answers",
    "expect_operator",
    "has_log",
    "is_stuck",
    "keeps_rates",
    "labels_of",
    "lost_nodes",
    "meant",
    "move",
    "no_node_has",
    "none_has",
    "order_drain",
    "placed",
    "pod_word",
    "progress",
    "question",
    "rollout_of",
    "shown_by_nobody",
    "slow_down",
    "suspend",
    "tell",
    "wait_for_answer",
    "why_silent",
    "with_note",
    "workers_on",
]
