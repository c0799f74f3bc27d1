"""`wpool init`: a pool to begin with, each line explained."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
import yaml

from workerpool_operator.api.crd import POOL
from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import confirmed
from workerpool_operator.cli.lint.read import documents, why_unread
from workerpool_operator.cli.terminal import one_line

HELP: Final = """Write a WorkerPool to begin with, each line explained.

To the standard output, or into `--output`. It is valid as it stands: change the image and the queue's address, then
`wpool lint FILE` and `kubectl apply -f FILE`. A name or an image that the API server would refuse is refused here, in
its words. Nothing is asked of any cluster.

Exit codes: 0 written; 1 you did not want the file to be overwritten; 2 wrong usage, a file that cannot be written.
"""
EPILOG: Final = """**Examples**

    wpool init thumbs > pool.yaml

    wpool init thumbs --broker rabbitmq --image registry.example/thumbs:1.4.2 --output pool.yaml
"""


class Broker(StrEnum):
    """Where jobs wait."""

    REDIS = "redis"
    RABBITMQ = "rabbitmq"
    NATS = "nats"
    POSTGRES = "postgres"
    KAFKA = "kafka"


_PLAIN: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/:@-]*[A-Za-z0-9])?")
_QUEUES: Final = {
    Broker.REDIS: 'redisStream: {{url: "redis://redis:6379/0", stream: {name}, group: {name}}} # rediss:// for TLS',
    Broker.RABBITMQ: 'rabbitmq: {{url: "amqp://rabbitmq:5672/", queue: {name}}} # amqps:// for TLS',
    Broker.NATS: 'natsJetStream: {{url: "nats://nats:4222", stream: {name}, consumer: {name}}} # tls:// for TLS',
    Broker.POSTGRES: 'postgres: {{url: "postgresql://postgres:5432/jobs", queue: {name}}} # with TLS',
    Broker.KAFKA: 'kafka: {{url: "kafka://kafka:9092", topic: {name}, group: {name}}} # kafka+ssl:// for TLS',
}
_TEMPLATE: Final = """\
# A pool of workers that take jobs from a queue. All fields: kubectl explain wpool.spec --recursive
apiVersion: workerpool.dev/v1alpha1
kind: WorkerPool
metadata:
  name: {name}
spec:
  worker:
    image: {image} # a worker on the SDK, or on the plain contract
    maxWorkers: 10 # jobs that a pod runs at a time
    drainTimeoutSeconds: 60 # how long a pod that is to go may go on with its jobs
    resources: # what a pod needs with all of its jobs at work; `wpool profile` measures it
      requests: {{cpu: 250m, memory: 256Mi}}
      limits: {{memory: 512Mi}}
  queues: # 1 to 8
    - name: main
      {queue}
      # credentials: # from a Secret of this namespace: mounted into the pods, never read by the operator
      #   username: {{secretKeyRef: {{name: {secret}, key: username}}}}
      #   password: {{secretKeyRef: {{name: {secret}, key: password}}}}
  scaling:
    minReplicas: 0 # 0: no pods while there are no jobs
    maxReplicas: 10
    targets: # the largest answer counts; `wpool simulate -f FILE` plays them before anything is applied
      queueDepthPerReplica: 20 # jobs that wait for each pod
    cooldownSeconds: 300 # how long the queue has to be empty before the last pod goes
  delivery:
    maxAttempts: 5 # then a job goes to the dead letters: `wpool dlq list {name}`
    leaseSeconds: 60 # how soon the jobs of a pod that died go to another one
  rollout:
    strategy: Canary # a new version is tried on a part of the jobs first, and goes if it is worse; or Rolling
"""


def init(  # noqa: D103  typer: the help text is HELP
    name: Annotated[str, typer.Argument(callback=cluster.named, help="Name of the pool.")] = "my-pool",
    broker: Annotated[Broker, typer.Option(help="Where jobs wait.")] = Broker.REDIS,
    image: Annotated[str, typer.Option(help="The worker's image.")] = "registry.example/my-worker:1.0.0",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="File to write.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Overwrite the file without asking.")] = False,
) -> None:
    text = starter(name, broker=broker, image=image)
    if against := _refusal(text):
        raise typer.BadParameter(f"the API server would refuse this pool: {against}")
    if output is None:
        typer.echo(text, nl=False)
        return
    if output.exists():
        confirmed(f"Overwrite {output}?", yes=yes)
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written: {error.strerror}") from error
    typer.echo(f"{output}: change image and address, then wpool lint {output} && kubectl apply -f {output}")


def starter(name: str, *, broker: Broker, image: str) -> str:
    """The file."""
    queue = _QUEUES[broker].format(name=_scalar(name))
    return _TEMPLATE.format(name=_scalar(name), secret=_scalar(f"{name}-queue"), image=_scalar(image), queue=queue)


def _scalar(text: str) -> str:
    """As YAML, in quotes where it would be taken for something else without, such as a pool that is called `on`."""
    if _PLAIN.fullmatch(text) and [one.body for one in documents(f"it: {text}")] == [{"it": text}]:
        return text
    shown = text.replace("\\", r"\\").replace('"', r"\"")
    return '"' + "".join(sign if sign.isprintable() else rf"\U{ord(sign):08x}" for sign in shown) + '"'


def _refusal(text: str) -> str:
    """What speaks against the pool; nothing: it is valid."""
    from workerpool_operator.cli.lint.verdict import examine  # noqa: PLC0415  it brings an interpreter of CEL

    try:
        [document] = documents(text)
    except yaml.YAMLError as error:
        return one_line(why_unread(error))
    return "; ".join(str(fault) for fault in examine(document, POOL))
