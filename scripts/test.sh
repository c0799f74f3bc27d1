#!/usr/bin/env bash
# Runs the phases of the tests in the order given, stops at the first that fails, and puts back what it started.
#
#   scripts/test.sh PHASE... [-- PYTEST_ARGUMENT...]     phases: unit, component, core, e2e
#
# The cluster that the e2e phases need is brought up unless it is up already, or E2E_KUBECONFIG names another; only a
# cluster brought up here is taken down again. The last lines printed are the closing lines of each phase's pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

phases=()
while (($#)) && [[ $1 != -- ]]; do
    phases+=("$1")
    shift
done
(($#)) && shift
pytest_arguments=("$@")

logs=$(mktemp -d)
owns_cluster=false
summary=()

run() { scripts/uv run --locked "$@"; }

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM # a second Ctrl-C must not leave half a cluster
    if $owns_cluster; then
        echo "test: taking the cluster down"
        run python -m e2e.cluster down || { echo "test: the cluster could not be taken down" >&2 && status=1; }
    fi
    rm -rf "$logs"
    ((${#summary[@]} == 0)) || printf '%s\n' "${summary[@]}"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What takes minutes when cold is done here: within a test it would count against that test's time limit.
stack_up() {
    if ! run python -m e2e.cluster status >/dev/null 2>&1; then
        owns_cluster=true
        run python -m e2e.cluster up
    fi
    run python - <<'PYTHON'
from e2e.monitoring import stage
from e2e.support.stack import TEST_VALUES, Stack

stage.prepare(Stack.ensure(values=TEST_VALUES))
PYTHON
}

# pytest_phase NAME ARGUMENT...: shows pytest's output, keeps its closing line for the summary.
pytest_phase() {
    local name=$1 status=0
    shift
    echo "test: $name"
    run pytest "$@" "${pytest_arguments[@]}" 2>&1 | tee "$logs/$name" || status=$?
    summary+=("$(tail -n 1 "$logs/$name")")
    return "$status"
}

for phase in "${phases[@]}"; do
    case $phase in
        unit)
            scripts/setup.sh python
            pytest_phase unit tests/unit
            ;;
        component)
            scripts/setup.sh python redis postgres rabbitmq kafka promtool go
            # Minutes when cold; see stack_up.
            run python -c 'from e2e.cluster import crds, toolchain as t; t.ensure(t.NODE, t.HELM, t.NATS_SERVER); crds.monitoring()'
            pytest_phase component tests/component
            ;;
        core | e2e)
            scripts/setup.sh python cluster
            stack_up
            if [[ $phase == core ]]; then marker="e2e and core"; else marker=e2e; fi
            pytest_phase "$phase" e2e -m "$marker" -x
            ;;
        *)
            echo "test: unknown phase '$phase': unit, component, core or e2e" >&2
            exit 2
            ;;
    esac
done
