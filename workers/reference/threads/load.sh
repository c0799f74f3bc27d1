#!/usr/bin/env bash
# Load profile of the worker `threads`: 300 calls of a receiver that takes half a second for each, 15 a second.
#
# WPOOL_URL names the Redis, by default one on this machine. Further options are those of `wpool load`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export WPOOL_URL=${WPOOL_URL:-redis://127.0.0.1:6379/0}
exec scripts/uv run --locked wpool load --stream deliveries --type deliver --rate 15 --jobs 300 --timeout 300 \
    --payload '{"url": "http://store:8080/inbox?delay=0.5", "body": {"event": "paid"}}' "$@"
