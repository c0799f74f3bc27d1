"""The first of two stages: downloads pictures, and has thumbnails made of them by the pool of `reference_cpu`.

Downloading waits and drawing computes. In one worker each would hold up the other; as two pools with a queue between
them each has the lane and the size that suits it.

| Job type | Payload | Does |
|---|---|---|
| `download` | `{"url": "https://...", "width": 320, "height": 240}` | stores it, and enqueues its `thumbnail` |

| Variable | Meaning |
|---|---|
| `BLOBS_URL` | the store through which pictures travel (`reference_common.blobs`) |
| `NEXT_URL`, `NEXT_STREAM` | the second stage's queue; also `NEXT_USERNAME_FILE` and so on, as `QUEUE_<NAME>_` has |
| `NEXT_MAX_DEPTH` | at most so many thumbnails wait (1000) |
"""
