"""channels_redis, both layers: messages, groups, expiry, capacity, a worker process, kill -9."""

import asyncio
import contextlib
import os

import pytest
import redis
from channels.exceptions import ChannelFull
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from harness.waiting import Lifetime, wait_until

LAYERS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}


def layer_of(kind, server, **options):
    # redis-py gives up a read after 5 seconds, as long as channels_redis asks the server to wait for a message.
    return LAYERS[kind](hosts=[{"address": server.url(2), "socket_timeout": 30}], **options)


def run(scenario, layer):
    """Runs the coroutine and closes what the layer opened."""

    async def guarded():
        try:
            return await asyncio.wait_for(scenario(layer), 40)
        finally:
            if isinstance(layer, RedisChannelLayer):
                await layer.close_pools()
            else:
                await layer.flush()

    return asyncio.run(guarded())


async def received(layer, channel, seconds=10):
    return await asyncio.wait_for(layer.receive(channel), seconds)


async def silent(layer, channel):
    """Whether nothing comes."""
    try:
        await asyncio.wait_for(layer.receive(channel), 0.3)
    except asyncio.TimeoutError:
        return True
    return False


@pytest.fixture(params=LAYERS)
def kind(request):
    return request.param


def test_messages(server, kind):
    async def scenario(layer):
        channel = await layer.new_channel()
        for number in range(20):
            await layer.send(channel, {"type": "n", "number": number, "blob": b"\x00\xff" * 1000})
        numbers = [(await received(layer, channel))["number"] for _ in range(20)]
        assert numbers == list(range(20))

    run(scenario, layer_of(kind, server))


def test_groups(server, kind):
    async def scenario(layer):
        channels = [await layer.new_channel() for _ in range(10)]
        for channel in channels:
            await layer.group_add("room", channel)
        await layer.group_discard("room", channels[0])
        await layer.group_send("room", {"type": "hello", "text": "all"})
        for channel in channels[1:]:
            assert await received(layer, channel) == {"type": "hello", "text": "all"}
        await layer.send(channels[0], {"type": "own"})
        assert await received(layer, channels[0]) == {"type": "own"}
        # Many of them to many, at the same time.
        async def listen(channel):
            return sorted([(await received(layer, channel))["number"] for _ in range(5)])

        senders = [layer.group_send("room", {"type": "n", "number": number}) for number in range(5)]
        results = await asyncio.gather(*senders, *[listen(channel) for channel in channels[1:]])
        assert results[5:] == [list(range(5))] * 9
        await layer.group_send("nobody", {"type": "lost"})

    run(scenario, layer_of(kind, server))


def test_between_two_event_loops(server, kind):
    """The layer of one process, used by several threads with a loop of their own."""

    async def scenario(layer):
        channel = await layer.new_channel()
        await layer.group_add("threads", channel)

        async def from_elsewhere(number):
            other = layer_of(kind, server)
            await other.group_send("threads", {"type": "n", "number": number})
            if kind == "core":
                await other.close_pools()
            else:
                await other.flush()

        for number in range(3):
            await asyncio.to_thread(asyncio.run, from_elsewhere(number))
        assert [(await received(layer, channel))["number"] for _ in range(3)] == [0, 1, 2]

    run(scenario, layer_of(kind, server))


def test_capacity(server):
    async def scenario(layer):
        for number in range(3):
            await layer.send("narrow", {"type": "n", "number": number})
        with pytest.raises(ChannelFull):
            await layer.send("narrow", {"type": "n", "number": 3})
        # A group leaves out those that are full.
        await layer.group_add("group", "narrow")
        await layer.group_add("group", "wide")
        await layer.group_send("group", {"type": "n", "number": 4})
        assert await received(layer, "wide") == {"type": "n", "number": 4}
        assert [(await received(layer, "narrow"))["number"] for _ in range(3)] == [0, 1, 2]
        assert await silent(layer, "narrow")

    run(scenario, layer_of("core", server, capacity=3))


def test_expiry(server):
    async def scenario(layer):
        life = Lifetime(seconds=1)
        await layer.send("brief", {"type": "n"})
        await layer.group_add("briefly", "other")
        client = server.client(2)
        (channel,) = client.keys("*brief")
        (group,) = client.keys("*:group:*")
        assert client.ttl(channel) == 1 and 0 < client.ttl(group) <= 2
        life.ends_when(lambda: not client.exists(channel))
        wait_until(lambda: not client.exists(group))
        assert await silent(layer, "brief")

    run(scenario, layer_of("core", server, expiry=1, group_expiry=2))


@pytest.fixture
def desk(programs):
    """Starts `runworker`: the project's consumers in a process of their own."""

    def start(server):
        return programs(
            *("-m", "django", "runworker", "desk"),
            DJR_TEST_URL=f"redis://127.0.0.1:{server.port}",
            DJANGO_SETTINGS_MODULE=os.environ["DJANGO_SETTINGS_MODULE"],
        )

    return start


def test_a_worker_process(make_server, desk):
    """A consumer in another process answers, and hears what a group is told; kill -9 takes no message from its queue."""
    server = make_server()

    async def ask_and_join(layer):
        mine = await layer.new_channel()
        await layer.send("desk", {"type": "question", "text": "hello", "reply_to": mine})
        assert await received(layer, mine, 30) == {"type": "answer", "text": "HELLO"}
        await layer.send("desk", {"type": "join", "group": "readers", "reply_to": mine})
        assert await received(layer, mine) == {"type": "joined"}
        await layer.group_send("readers", {"type": "news", "text": "extra", "reply_to": mine})
        assert await received(layer, mine) == {"type": "heard", "text": "extra"}

    worker = desk(server)
    run(ask_and_join, layer_of("core", server))
    worker.close()

    async def ask(layer):
        mine = await layer.new_channel("asking")
        await layer.group_add("askers", mine)
        for number in range(20):
            await layer.send("desk", {"type": "question", "text": f"n{number}", "reply_to": mine})
        return mine

    mine = run(ask, layer_of("core", server))
    server.kill9()
    server.restart()

    async def answers(layer):
        found = [(await received(layer, mine, 30))["text"] for _ in range(20)]
        assert sorted(found) == sorted(f"N{number}" for number in range(20))
        await layer.group_send("askers", {"type": "still there"})
        assert await received(layer, mine) == {"type": "still there"}

    desk(server)
    layer = layer_of("core", server)
    # The name of a channel belongs to the process that made it; this is that process.
    layer.client_prefix = mine.split("!")[0].removeprefix("asking.")
    run(answers, layer)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_subscriptions_come_back(make_server):
    """The pub/sub layer connects and subscribes again by itself when the server is back."""
    server = make_server()

    async def scenario(layer):
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        await asyncio.to_thread(server.kill9)
        server.restart()
        hears = asyncio.create_task(received(layer, channel, 30))
        while not hears.done():
            with contextlib.suppress(redis.ConnectionError):
                await layer.group_send("room", {"type": "back"})
            await asyncio.sleep(0.05)
        assert await hears == {"type": "back"}

    run(scenario, layer_of("pubsub", server))
