"""Fixtures for all tests; each plugin's text says what it gives."""

pytest_plugins = [
    "tests.support.apiserver",
    "tests.support.attacks",
    "tests.support.crds",
    "tests.support.kafka",
    "tests.support.nats",
    "tests.support.postgres",
    "tests.support.rabbitmq",
    "tests.support.redis",
]
