"""What `wpool init` writes, at a real API server: it takes each kind of file as it stands."""

import pytest
from typer.testing import CliRunner

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import kubectl
from workerpool_operator import api
from workerpool_operator.cli.main import app
from workerpool_operator.cli.starter import Broker
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]
KINDS = {
    Broker.REDIS: "redisStream",
    Broker.RABBITMQ: "rabbitmq",
    Broker.NATS: "natsJetStream",
    Broker.POSTGRES: "postgres",
    Broker.KAFKA: "kafka",
}


@pytest.mark.parametrize("credentials", [False, True], ids=["as it stands", "with its credentials"])
@pytest.mark.parametrize("broker", list(Broker))
async def test_what_is_written_is_applied(
    plane: ControlPlane, kube: Kube, namespace: str, broker: Broker, *, credentials: bool
) -> None:
    """No field is unknown, no rule is broken, no warning is given; and the operator can read what is there then."""
    text = CliRunner().invoke(app, ["init", "thumbs", "--broker", broker.value]).stdout
    if credentials:
        text = text.replace("# credentials", "credentials").replace("#   ", "  ")
    said = kubectl(plane, "apply", "--validate=strict", "-n", namespace, "-f", "-", stdin=text)
    assert said == "workerpool.workerpool.dev/thumbs created\n"
    body = await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"))
    [queue] = body["spec"]["queues"]
    assert set(queue) == {"name", KINDS[broker], *(["credentials"] if credentials else [])}
    assert api.parse(body).spec.scaling.max_replicas == 10
