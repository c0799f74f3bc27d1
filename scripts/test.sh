#!/usr/bin/env bash
# Runs the phases of the tests in the order given, stops at the first that fails, and puts back what it started.
#
#   scripts/test.sh PHASE... [-- PYTEST_ARGUMENT...]     phases: unit, component, shipped, core, e2e
#
# The cluster that the e2e phases need is brought up unless it is up already, or E2E_KUBECONFIG names another; only a
# cluster brought up here is taken down again. The last lines printed are the closing lines of each phase's pytest.
# Files of tests lie in memory where there is room: servers that write to a slow disk stand still for seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

phases=()
while (($#)) && [[ $1 != -- ]]; do
    phases+=("$1")
    shift
done
(($#)) && shift
pytest_arguments=("$@")

readonly MEMORY=/dev/shm ROOM_GIB=4
logs=$(mktemp -d)
files=$logs
beside=() # process ids of the lots that run in the background
owns_cluster=false
summary=()

run() { scripts/uv run --locked "$@"; }

finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM # a second Ctrl-C must not leave half a cluster
    end_beside
    if $owns_cluster; then
        echo "test: taking the cluster down"
        run python -m e2e.cluster down || { echo "test: the cluster could not be taken down" >&2 && status=1; }
    fi
    rm -rf "$logs" "$files"
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

# in_memory: the files of tests go there, unless there is hardly room.
in_memory() {
    local free
    [[ $files == "$logs" ]] || return 0
    free=$(df --output=avail --block-size=1G "$MEMORY" 2>/dev/null | tail -n 1) || return 0
    [[ -w $MEMORY ]] && ((free >= ROOM_GIB)) || return 0
    files=$(mktemp -d "$MEMORY/workerpool-tests-XXXXXX")
    chmod 711 "$files" # PostgreSQL runs as a user of its own
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

# The component tests wait more than they compute, so several lots of them run side by side; what no lot names is the
# last. Lots are about as long as one another. What somebody selects runs as one. A lot's words are patterns of paths.
readonly LOTS=(
    "tests/component/sdk/test_broker_conformance.py tests/component/sdk/test_[kln]*.py tests/component/sdk/test_ra*.py"
    "tests/component/sdk"
    "tests/component/cli tests/component/faults tests/component/ui"
)

component_setup() {
    scripts/setup.sh python redis postgres rabbitmq kafka promtool go
    # Minutes when cold; see stack_up.
    run python -c 'from e2e.cluster import crds, toolchain as t; t.ensure(t.NODE, t.HELM, t.NATS_SERVER); crds.monitoring(), crds.cert_manager()'
    in_memory
}

component_phases() {
    local status=0 number paths path elsewhere=()
    local -x TMPDIR=$files
    if ((${#pytest_arguments[@]})); then
        pytest_phase component tests/component
        return
    fi
    for number in "${!LOTS[@]}"; do
        # shellcheck disable=SC2206  # the patterns shall become paths
        paths=(${LOTS[number]})
        echo "test: component, ${LOTS[number]}, beside the next; its output follows at its end"
        lot "$logs/component-$number" "${paths[@]}" "${elsewhere[@]}"
        for path in "${paths[@]}"; do elsewhere+=("--ignore=$path"); done
    done
    pytest_phase component tests/component "${elsewhere[@]}" || status=$?
    for number in "${!LOTS[@]}"; do
        echo "test: waiting for ${LOTS[number]}, which is at: $(tail -n 1 "$logs/component-$number")"
        wait "${beside[number]}" || status=$?
        echo "test: component, ${LOTS[number]}"
        cat "$logs/component-$number"
        summary+=("$(tail -n 1 "$logs/component-$number")")
    done
    beside=()
    return "$status"
}

# lot LOG ARGUMENT...: pytest in the background. A shell's background processes are deaf to Ctrl-C unless told otherwise.
lot() {
    local log=$1
    shift
    env --default-signal=INT scripts/uv run --locked pytest "$@" >"$log" 2>&1 &
    beside+=("$!")
}

# end_beside: as Ctrl-C would. uv waits for its pytest, and that for its servers.
end_beside() {
    local number pid
    for pid in "${beside[@]}"; do
        pkill -INT -P "$pid" || true
    done
    for number in "${!beside[@]}"; do
        wait "${beside[number]}" || true
        cat "$logs/component-$number"
    done
}

for phase in "${phases[@]}"; do
    case $phase in
        unit)
            scripts/setup.sh python
            pytest_phase unit tests/unit
            ;;
        component)
            component_setup
            component_phases
            ;;
        shipped)
            # Alerts, dashboards and attacks: what is delivered beside the programs, and needs no pods. What somebody
            # selects is elsewhere.
            ((${#pytest_arguments[@]} == 0)) || continue
            component_setup
            TMPDIR=$files pytest_phase shipped tests -m "(attack or promtool) and not browser"
            ;;
        core | e2e)
            if [[ $phase == core ]]; then marker="e2e and core"; else marker=e2e; fi
            scripts/setup.sh python cluster
            [[ $phase == core ]] || scripts/setup.sh chromium
            stack_up
            pytest_phase "$phase" e2e -m "$marker" -x
            ;;
        *)
            echo "test: unknown phase '$phase': unit, component, shipped, core or e2e" >&2
            exit 2
            ;;
    esac
done
