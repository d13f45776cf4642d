"""redis-py's asyncio client."""

import asyncio

import pytest
import redis.asyncio
from redis.exceptions import LockError, NoScriptError, ResponseError, WatchError



@pytest.fixture
def run(server, protocol):
    """Runs `scenario(client)` in an event loop of its own."""

    def run(scenario, *, pool=redis.asyncio.ConnectionPool, **options):
        async def main():
            connections = pool.from_url(server.url(1, protocol=protocol), **options)
            client = redis.asyncio.Redis.from_pool(connections)
            try:
                async with asyncio.timeout(30):
                    return await scenario(client)
            finally:
                await client.aclose()

        return asyncio.run(main())

    return run


def test_basics(run):
    async def scenario(r):
        assert await r.ping()
        assert await r.set("k", "v", ex=100)
        assert await r.get("k") == b"v"
        assert 95 < await r.ttl("k") <= 100
        assert await r.mset({"a": 1, "b": 2})
        assert await r.mget("a", "missing", "b") == [b"1", None, b"2"]
        assert await r.incrby("a", 5) == 6
        assert sorted([key async for key in r.scan_iter(count=2)]) == [b"a", b"b", b"k"]
        assert await r.delete("a", "b") == 2
        with pytest.raises(ResponseError):
            await r.incr("k")
        with pytest.raises(ResponseError):
            await r.execute_command("CLIENT", "NOSUCH")
        assert await r.get("k") == b"v"

    run(scenario)


def test_text(run):
    async def scenario(r):
        await r.set("ключ", "値")
        assert await r.get("ключ") == "値"

    run(scenario, decode_responses=True)


def test_pipelines_and_watch(run):
    async def scenario(r):
        for transaction in (True, False):
            async with r.pipeline(transaction=transaction) as pipeline:
                replies = await pipeline.set("n", 1).incr("n").get("n").execute()
            assert replies == [True, 2, b"2"]
        async with r.pipeline() as pipeline:
            await pipeline.watch("n")
            await r.set("n", 5)
            pipeline.multi()
            pipeline.set("n", 6)
            with pytest.raises(WatchError):
                await pipeline.execute()
        assert await r.get("n") == b"5"

    run(scenario)


def test_scripts(run):
    async def scenario(r):
        script = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        assert await script(keys=["n"], args=[4]) == 4
        await r.script_flush()
        with pytest.raises(NoScriptError):
            await r.evalsha(script.sha, 1, "n", 1)
        assert await script(keys=["n"], args=[4]) == 8

    run(scenario)


def test_hundreds_at_once(run):
    async def scenario(r):
        await asyncio.gather(*(r.incr("n") for _ in range(500)))
        assert await r.get("n") == b"500"
        values = await asyncio.gather(*(echo(r, number) for number in range(300)))
        assert values == [str(number).encode() for number in range(300)]

    async def echo(r, number):
        await r.set(f"k{number}", number)
        return await r.get(f"k{number}")

    run(scenario, max_connections=50, pool=redis.asyncio.BlockingConnectionPool)


def test_one_connection_serves_tasks_in_turn(run):
    async def scenario(r):
        async with r.client() as single:
            first = await single.client_id()
            await asyncio.gather(*(single.incr("n") for _ in range(100)))
            assert await single.client_id() == first
            assert await single.get("n") == b"100"

    run(scenario)


def test_a_lock(run):
    async def scenario(r):
        inside = 0
        total = 0

        async def work():
            nonlocal inside, total
            async with r.lock("job", timeout=20, sleep=0.005):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0)
                total += 1
                inside -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        assert total == 10
        lock = r.lock("job", timeout=20)
        with pytest.raises(LockError):
            await lock.release()

    run(scenario)


def test_a_cancelled_command_does_not_shift_replies(run, server):
    async def scenario(r):
        await r.set("k", "right")
        other = server.client()
        for _ in range(20):
            task = asyncio.create_task(r.echo("wrong"))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await r.get("k") == b"right"
        assert other.ping()

    run(scenario)


def test_a_restart(make_server):
    server = make_server(appendfsync="always")

    async def scenario():
        r = redis.asyncio.Redis.from_url(server.url(1), retry=no_async_retry())
        try:
            await r.set("k", "v")
            server.kill9()
            with pytest.raises(redis.ConnectionError):
                await r.get("k")
            server.restart()
            assert await r.get("k") == b"v"
        finally:
            await r.aclose()

    asyncio.run(scenario())


def no_async_retry():
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 0)
