#!/usr/bin/env bash
# Load profile of the worker `io`: 300 jobs that wait half a second each, 30 a second, with the figures of each job.
#
# WPOOL_URL names the Redis, by default one on this machine. Further options are those of `wpool load`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export WPOOL_URL=${WPOOL_URL:-redis://127.0.0.1:6379/0}
exec scripts/uv run --locked wpool load --stream first --type sleep --rate 30 --jobs 300 --timeout 300 \
    --job-seconds 0.5 "$@"
