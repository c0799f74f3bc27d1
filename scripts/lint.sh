#!/usr/bin/env bash
# Every check that needs no test run. Tries all of them and names those that failed at the end.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()

check() {
    local name=$1
    shift
    echo "lint: $name"
    "$@" || failed+=("$name")
}

run() { scripts/uv run --locked "$@"; }

check "lock file" scripts/uv lock --check --quiet
check "ruff check" run ruff check --quiet .
check "ruff format" run ruff format --check --quiet .
check "mypy" run mypy
check "import-linter" run lint-imports --no-logo
check "generated files" run python scripts/generate.py --check
# One by one: bash checks the first file that it is given, and takes the others for its arguments.
check "shell" bash -c 'for file; do bash -n "$file" || exit 1; done' bash \
    scripts/uv scripts/*.sh workers/reference/*/load.sh .ci/run

if ((${#failed[@]})); then
    printf 'lint: failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
echo "lint: all clean"
