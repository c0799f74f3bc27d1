"""The reference worker for CPU: a handler that computes, in a process of its own for each core.

| Job type | Payload | Does |
|---|---|---|
| `thumbnail` | `{"source": "originals/17.jpg", "width": 320, "height": 240}` | makes a JPEG that fits into the box |

The source is a key of the store that `BLOBS_URL` names; what is made of it is `thumbnails/JOB_ID.jpg` there.
"""
