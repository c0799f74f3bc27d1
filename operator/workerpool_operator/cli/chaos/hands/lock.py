"""A Job holds a lock on a table in the PostgreSQL that the pool's queue is in, with the pool's own credentials."""

import secrets

import aiohttp

from workerpool_operator import api
from workerpool_operator.cli.chaos.hands.ground import Ground, Json, name, until
from workerpool_operator.cli.chaos.inside import program
from workerpool_operator.cli.chaos.marks import BROKEN_LABEL
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq.job import CONTAINER, image_of, job
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.kube import ObjectRef, errors, kinds

_HELD_SECONDS = 90.0
_MARGIN_SECONDS = 120


class HeldLock:
    """See the module's text."""

    victims: frozenset[str] = frozenset()

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._job = f"{ground.pool[:40]}-chaos-{secrets.token_hex(4)}"

    async def strike(self) -> str:
        """See `Hands`."""
        ground = self._ground
        await ground.kube.create(await self._lock())
        await until(
            self._held,
            seconds=_HELD_SECONDS,
            otherwise=f"the lock could not be had: `kubectl logs -n {ground.namespace} job/{self._job}` tells why",
        )
        return f"ACCESS EXCLUSIVE lock on {ground.options.table} held by Job {self._job}"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`: that jobs wait is looked at anyway."""
        return None

    async def mend(self) -> None:
        """See `Hands`."""
        await self._ground.put_back()

    async def _lock(self) -> Json:
        ground = self._ground
        pool = api.parse(await ground.kube.get(ObjectRef(kinds.WORKER_POOL, ground.namespace, ground.pool)))
        queue = next((one for one in pool.spec.queues if one.postgres is not None), None)
        if queue is None:
            raise TroubleError(f"nothing was broken: {ground.pool} has no queue in PostgreSQL")
        try:
            collector = await ground.kube.get(ObjectRef(kinds.DEPLOYMENT, ground.namespace, COLLECTOR_NAME))
        except errors.NotFound:
            raise TroubleError(f"{ground.namespace} has no collector, whose image the Job would run") from None
        seconds = int(ground.options.seconds)
        body = job(pool, (), name=self._job, image=image_of(collector), seconds=seconds + _MARGIN_SECONDS)
        # The command's own end of it comes first; this one is for when nobody is left to end it.
        words = program("lock", f"QUEUE_{queue.env_name}", ground.options.table, str(seconds + 10))
        template = body["spec"]["template"]
        template["spec"]["containers"][0] |= {"command": [word.replace("$", "$$") for word in words], "args": []}
        template["spec"]["terminationGracePeriodSeconds"] = 1
        for metadata in (body["metadata"], template["metadata"]):
            metadata["labels"] = {BROKEN_LABEL: ground.pool}
        return body

    async def _held(self) -> bool:
        ground = self._ground
        for pod in await ground.pods(f"batch.kubernetes.io/job-name={self._job}"):
            phase = pod.get("status", {}).get("phase")
            if phase == "Failed":
                raise TroubleError(f"the lock could not be had: {(await self._log(name(pod)))[-400:]}")
            if phase == "Running" and "held" in await self._log(name(pod)):
                return True
        return False

    async def _log(self, pod: str) -> str:
        access = self._ground.access
        path = kinds.POD.path(namespace=self._ground.namespace, name=pod, subresource="log")
        query = {"container": CONTAINER, "limitBytes": "65536"}
        try:
            async with (
                access.watch_session() as session,
                session.get(access.server + path, params=query, timeout=aiohttp.ClientTimeout(total=10)) as answer,
            ):
                return await answer.text(errors="replace")
        except aiohttp.ClientError as error:
            return str(error)
