#!/usr/bin/env bash
# Load profile of the worker `cpu`: 300 thumbnails of a picture of 1600 x 1200, 15 a second.
#
# WPOOL_URL names the Redis, by default one on this machine. Further options are those of `wpool load`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export WPOOL_URL=${WPOOL_URL:-redis://127.0.0.1:6379/0}
exec scripts/uv run --locked wpool load --stream thumbnails --type thumbnail --rate 15 --jobs 300 --timeout 300 \
    --payload '{"source": "samples/photo.png", "width": 320, "height": 240}' "$@"
