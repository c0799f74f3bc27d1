#!/usr/bin/env bash
# Load profile of the worker `hybrid`: 300 downloads of one picture, 30 a second, each with a thumbnail to be made of it.
#
# It ends with the first stage; the second one has its own queue, `thumbnails`.
# WPOOL_URL names the Redis, by default one on this machine. Further options are those of `wpool load`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export WPOOL_URL=${WPOOL_URL:-redis://127.0.0.1:6379/0}
exec scripts/uv run --locked wpool load --stream downloads --type download --rate 30 --jobs 300 --timeout 300 \
    --payload '{"url": "http://store:8080/samples/photo.png", "width": 320, "height": 240}' "$@"
