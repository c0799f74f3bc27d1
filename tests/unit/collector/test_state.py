"""`/v1/state`: what the collector tells people."""

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from workerpool_operator.collector.board import Board
from workerpool_operator.collector.web import open_app
from workerpool_operator.protocol import PoolConfig


async def test_who_asks_for_one_pool_is_not_sent_the_others() -> None:
    """A name that it does not know is no pool; without one it tells of all."""
    board = Board(announce=lambda *_, **__: None)
    names = ("mail", "thumbs")
    board.configure(tuple(PoolConfig(name=name, uid=name, queues=({"name": "main"},)) for name in names))
    app = open_app(CollectorRegistry(), board, connected=lambda: 2)
    async with TestClient(TestServer(app)) as client:

        async def pools(**query: str) -> set[str]:
            async with client.get("/v1/state", params=query) as answer:
                said = await answer.json()
            assert said["operators_connected"] == 2
            return set(said["pools"])

        assert await pools() == set(names)
        assert await pools(pool="thumbs") == {"thumbs"}
        assert await pools(pool="nobody") == set()
        assert await pools(pool="") == set()
