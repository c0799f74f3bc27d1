"""A Service leads to a proxy that passes everything on later, for as long as it lasts.

Connections that stand stay on the direct way, and clients of brokers keep theirs for days: so each worker is killed
once, one after the other, and connects anew. Afterwards the proxy goes, and with it the connections through it.
"""

import secrets
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from workerpool_operator.cli.chaos.eyes import is_ready
from workerpool_operator.cli.chaos.hands.ground import Ground, Json, counts, name, until
from workerpool_operator.cli.chaos.hands.kill import KilledProcesses, all_workers
from workerpool_operator.cli.chaos.inside import program
from workerpool_operator.cli.chaos.marks import broken, made
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.dlq.job import image_of
from workerpool_operator.domain.desired.names import COLLECTOR_NAME
from workerpool_operator.domain.desired.template import container_security, pod_security
from workerpool_operator.kube import ObjectRef, errors, kinds

_FIRST_PORT: Final = 20_000
_USER: Final = 10_001
_READY_SECONDS: Final = 60.0
_BACK_SECONDS: Final = 90.0
_ROLE: Final = "workerpool.dev/chaos-proxy"
_MARGIN_SECONDS: Final = 600


class DelayedService:
    """See the module's text."""

    def __init__(self, ground: Ground, *, service: str) -> None:
        self._ground = ground
        self._service = service
        self._workers = KilledProcesses(ground, all_workers, what="worker", workers=True)
        self._victims: frozenset[str] = frozenset()
        self._pod = ""

    @property
    def victims(self) -> frozenset[str]:
        """See `Hands`."""
        return self._victims

    async def strike(self) -> str:
        """See `Hands`."""
        ground = self._ground
        ref = ObjectRef(kinds.SERVICE, ground.namespace, self._service)
        service = await ground.kube.get(ref)
        spec = service["spec"]
        if not spec.get("selector") or spec.get("clusterIP") == "None":
            raise TroubleError(f"nothing was broken: Service {self._service} has no pods of its own behind one address")
        mark = secrets.token_hex(4)
        direct, self._pod = f"{self._service[:40]}-direct-{mark}", f"{self._service[:40]}-chaos-{mark}"
        await ground.kube.create(_direct(ground, direct, spec))
        await ground.kube.create(await self._proxy(mark, direct, spec["ports"]))
        await until(self._proxy_ready, seconds=_READY_SECONDS, otherwise=f"the proxy {self._pod} is not ready in time")
        patch, undo = led_to(mark, spec)
        await ground.kube.merge_patch(
            ref, broken(patch, undo=undo, pool=ground.pool), resource_version=service["metadata"]["resourceVersion"]
        )
        workers = await ground.workers()
        self._victims = frozenset(counts(workers))
        for pod in workers:
            await self._workers.kill(pod)
            back = f"{name(pod)} did not come back in time"
            await until(lambda pod=pod: self._back(pod), seconds=_BACK_SECONDS, otherwise=back)  # type: ignore[misc]
        return f"Service {self._service} leads through a proxy with {ground.options.milliseconds} ms each way"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`: somebody has connected through the proxy."""
        path = kinds.POD.path(namespace=self._ground.namespace, name=self._pod, subresource="log")
        try:
            async with (
                self._ground.access.watch_session() as session,
                session.get(self._ground.access.server + path, params={"limitBytes": "65536"}) as answer,
            ):
                return answer.status == 200 and "connection" in await answer.text()  # noqa: PLR2004
        except aiohttp.ClientError:
            return None

    async def mend(self) -> None:
        """See `Hands`."""
        await self._ground.put_back()

    async def _proxy(self, mark: str, direct: str, ports: list[Json]) -> Json:
        ground = self._ground
        try:
            collector = await ground.kube.get(ObjectRef(kinds.DEPLOYMENT, ground.namespace, COLLECTOR_NAME))
        except errors.NotFound:
            raise TroubleError(f"{ground.namespace} has no collector, whose image the proxy would run") from None
        image = image_of(collector)
        host = f"{direct}.{ground.namespace}.svc"
        ways = [f"{_FIRST_PORT + number}:{host}:{port['port']}" for number, port in enumerate(ports)]
        container = {
            "name": "proxy",
            **image["container"],
            "command": [word.replace("$", "$$") for word in program("delay", str(ground.options.milliseconds), *ways)],
            "readinessProbe": {"tcpSocket": {"port": _FIRST_PORT}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
            "securityContext": container_security(),
        }
        spec = {
            "restartPolicy": "Always",
            # It ends by itself one day, also where nobody is left to delete it.
            "activeDeadlineSeconds": int(ground.options.seconds) + _MARGIN_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": pod_security(user=_USER, group=_USER),
            "containers": [container],
            **image["pod"],
        }
        metadata = made(self._pod, ground.namespace, pool=ground.pool, labels={_ROLE: mark})
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    async def _proxy_ready(self) -> bool:
        return is_ready(await self._ground.kube.get(ObjectRef(kinds.POD, self._ground.namespace, self._pod)))

    async def _back(self, pod: Json) -> bool:
        now = {each["metadata"]["uid"]: each for each in await self._ground.workers()}
        found = now.get(pod["metadata"]["uid"])
        return found is None or counts([found]) != counts([pod])


def led_to(mark: str, spec: Json) -> tuple[Json, Json]:
    """The patch that leads a Service to the proxy, and the one that leads it back."""
    ports = [{**port, "targetPort": _FIRST_PORT + number} for number, port in enumerate(spec["ports"])]
    there: dict[str, Any] = dict.fromkeys(spec["selector"])
    patch = {"spec": {"selector": {**there, _ROLE: mark}, "ports": ports}}
    return patch, {"spec": {"selector": {**spec["selector"], _ROLE: None}, "ports": spec["ports"]}}


def broker_service(urls: list[str], namespace: str) -> str:
    """The Service of the pool's namespace that one of its queues is at.

    Raises:
        TroubleError: none is.
    """
    for url in urls:
        host = urlsplit(url).hostname or ""
        service, _, rest = host.partition(".")
        if service and (not rest or rest.split(".")[0] == namespace):
            return service
    raise TroubleError(
        "nothing was broken: no queue of this pool is at a Service of its own namespace, whose traffic could be led "
        "through a proxy; --service names another one"
    )


def _direct(ground: Ground, direct: str, spec: Json) -> Json:
    keys = ("name", "protocol", "port", "targetPort", "appProtocol")
    ports = [{key: port[key] for key in keys if key in port} for port in spec["ports"]]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": made(direct, ground.namespace, pool=ground.pool),
        "spec": {"selector": spec["selector"], "ports": ports},
    }
