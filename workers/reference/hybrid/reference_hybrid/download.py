"""Job type `download`: get a picture, politely, store it, and enqueue its thumbnail.

The picture travels through the store; the next job carries its key. It is stored before that job is enqueued, and both
are done before this job is acknowledged. So whenever this worker dies, the job runs again, and:

| It died | The next attempt |
|---|---|
| before the picture was stored | downloads it |
| before the thumbnail was enqueued | finds the picture in the store, and enqueues |
| before the acknowledgement | enqueues under the same job id, and the queue drops it |

A queue knows the ids of its last ten minutes. After that the thumbnail's job is there twice, and the second one finds
that the thumbnail is made.

When the second queue is full, the job waits for room in its slot. This stage then takes nothing new, so its own queue
fills, which is what its producers see. Without room in `ROOM_SECONDS` the attempt fails and is made again later.
"""

from typing import Any, Final

from reference_common.blobs import key_for
from reference_common.web import checked_url
from workerpool import Job, RejectJob

TIMEOUT_SECONDS: Final = 60.0
ROOM_SECONDS: Final = 20.0
"""How long to wait for room in the second queue; with the download and the store it fits into the job's time."""
NEXT_TYPE: Final = "thumbnail"
FOLDER: Final = "originals"
_SIZES: Final = ("width", "height")
_OK: Final = 200


async def download(job: Job) -> None:
    """Store the picture that the payload names under the job's id, and enqueue its thumbnail under the same id."""
    payload: dict[str, Any] = job.payload if isinstance(job.payload, dict) else {}
    url, context, key = checked_url(payload.get("url")), job.context, key_for(FOLDER, job)
    if not await context.blobs.has(key):
        found = await context.fetcher.download(url)
        if found.status != _OK:
            raise RejectJob(f"{url} answers {found.status}")
        await context.blobs.put_new(key, found.body)
    sizes = {name: payload[name] for name in _SIZES if name in payload}
    await context.next.queue.enqueue(
        NEXT_TYPE,
        {"source": key} | sizes,
        job_id=job.id,
        tenant=job.tenant,
        priority=job.priority,
        max_depth=context.next.max_depth,
        on_full="wait",
        timeout=ROOM_SECONDS,
    )
