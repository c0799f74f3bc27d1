"""The reference worker for libraries that block: each job in a thread of its own.

| Job type | Payload | Does |
|---|---|---|
| `deliver` | `{"url": "https://...", "body": {...}}` | posts the body as JSON until the receiver takes it |

That a call was taken is kept as `receipts/JOB_ID.json` in the store that `BLOBS_URL` names.
"""
