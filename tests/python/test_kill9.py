"""kill -9 in the middle of everything: what was acknowledged is there after the restart, and lives as long as it was to live."""

import os
import random
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
import redis

from harness.journal import Writer
from harness.live import Browser, live_site
from harness.server import no_retry
from harness.waiting import Lifetime, wait_until
from project.caches import configuration, connection_options, raw_client, using

SEED = os.environ.get("DJR_TEST_SEED", "1")
POLICIES = ["always", "everysec"]


def nothing_may_be_lost(server):
    """Whether the server promises that kill -9 takes no acknowledged command.

    DJR does under every policy. Redis may answer before it has written when a background fsync is slow, so with `everysec` it may
    lose the latest commands, in order.
    """
    return server.is_djr or server.appendfsync == "always"


@pytest.fixture(params=POLICIES)
def server(make_server, request):
    return make_server(appendfsync=request.param)


@pytest.fixture
def cache(server, backend):
    with using(configuration(backend, server.url(1), **connection_options(backend, retry=no_retry()))) as default:
        yield default


def test_acknowledged_writes_survive(server, cache):
    chance = random.Random(f"{SEED} {server.appendfsync}")
    writers = [Writer(cache, f"writer{number}", f"{SEED} {server.appendfsync} 0") for number in range(4)]
    for round_number in range(4):
        for writer in writers:
            writer.start()
        target = chance.randrange(100, 800)
        wait_until(
            lambda: sum(writer.acknowledged for writer in writers) >= target or any(writer.error for writer in writers),
            seconds=30,
            what=f"{target} acknowledged writes",
        )
        assert not any(writer.error for writer in writers), "a writer failed before the kill"
        server.kill9()
        for writer in writers:
            writer.join(20)
            assert writer.error is not None, f"{writer.name} did not notice"
        server.restart()

        following = []
        for writer in writers:
            found = cache.get_many(writer.keys)
            lost = writer.lost(found)
            if nothing_may_be_lost(server):
                assert lost == 0, f"round {round_number}: {lost} of {writer.acknowledged} acknowledged are gone"
            successor = Writer(cache, writer.name, f"{SEED} {server.appendfsync} {round_number + 1}")
            # The next round goes on from what is there, so each round also proves the restarts before it.
            successor.before = found
            following.append(successor)
        writers = following


def test_a_transaction_survives_whole_or_not_at_all(server):
    """Also what a script wrote: either is one entry of the log."""
    script = "for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return ARGV[1]"
    client = server.client(retry=no_retry())
    for _ in range(3):
        acknowledged = {}

        def transactions():
            connection = server.client(retry=no_retry())
            for number in range(1, 1_000_000):
                pipeline = connection.pipeline(transaction=True)
                for key in "abc":
                    pipeline.set(f"transaction:{key}", f"{number} " + "x" * 20_000)
                pipeline.execute()
                acknowledged["transaction"] = number

        def scripts():
            connection = server.client(retry=no_retry())
            run = connection.register_script(script)
            for number in range(1, 1_000_000):
                run(keys=[f"script:{key}" for key in "abc"], args=[f"{number} " + "x" * 20_000])
                acknowledged["script"] = number

        def until_it_is_gone(work):
            try:
                work()
            except redis.RedisError:
                pass

        client.flushall()
        threads = [threading.Thread(target=until_it_is_gone, args=[work], daemon=True) for work in (transactions, scripts)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(acknowledged.get("transaction", 0), acknowledged.get("script", 0)) >= 20, seconds=30)
        server.kill9()
        for thread in threads:
            thread.join(20)
        server.restart()
        for kind in ("transaction", "script"):
            values = set(client.mget([f"{kind}:{key}" for key in "abc"]))
            assert len(values) == 1, f"part of a {kind}"
            number = int((values.pop() or b"0").split()[0])
            assert number <= acknowledged[kind] + 1
            if nothing_may_be_lost(server):
                assert number >= acknowledged[kind]


def test_times_to_live_count_on(server):
    client = server.client(1)
    pipeline = client.pipeline(transaction=False)
    for number in range(200):
        pipeline.set(f"px:{number}", number, px=600_000 + 977 * number)
    pipeline.set("exat", "v", exat=datetime.now(timezone.utc) + timedelta(days=400))
    pipeline.set("kept", "v", ex=5000)
    pipeline.set("kept", "w", keepttl=True)
    pipeline.set("counter", 1, ex=5000)
    pipeline.incr("counter")
    pipeline.append("kept", "x")
    pipeline.set("expired-later", "v")
    pipeline.expire("expired-later", 777)
    pipeline.set("persisted", "v", ex=100)
    pipeline.persist("persisted")
    pipeline.set("got", "v")
    pipeline.getex("got", px=123_456)
    pipeline.set("renamed-from", "v", ex=4000)
    pipeline.rename("renamed-from", "renamed")
    pipeline.copy("renamed", "copied")
    pipeline.execute()
    keys = sorted(client.keys())
    settle(server)
    times = [client.pexpiretime(key) for key in keys]
    values = client.mget(keys)
    assert len(keys) == 208

    for _ in range(3):
        server.kill9()
        server.restart()
        assert sorted(client.keys()) == keys
        assert [client.pexpiretime(key) for key in keys] == times, "to the millisecond, and no new start"
        assert client.mget(keys) == values
    assert client.ttl("persisted") == -1


def test_time_passes_while_the_server_is_down(server):
    client = server.client(1)
    life = Lifetime(seconds=1)
    client.set("short", "v", px=1000)
    client.set("long", "v", px=3_600_000)
    client.set("gone", "v", px=1)
    settle(server)
    server.kill9()
    time.sleep(1.1)
    server.restart()
    life.ends_when(lambda: True)
    assert client.mget("short", "gone") == [None, None]
    assert client.exists("short") == 0
    assert client.set("short", "new", nx=True)
    assert 3_590_000 < client.pttl("long") < 3_600_000 - 1000
    # What had expired stays away after one more crash.
    settle(server)
    server.kill9()
    server.restart()
    assert client.get("short") == b"new"
    assert client.get("gone") is None


def test_what_was_removed_stays_removed(server):
    client = server.client(1)
    other = server.client(2)
    client.mset({f"k{number}": "v" for number in range(100)})
    other.set("theirs", "v")
    client.delete("k0", "k1")
    client.unlink("k2")
    client.getdel("k3")
    client.rename("k4", "renamed")
    client.move("k5", 2)
    client.expireat("k6", 1)
    client.set("k7", "v", px=1)
    client.getex("k8", exat=1)
    settle(server)
    server.kill9()
    server.restart()
    assert client.exists(*(f"k{number}" for number in range(9))) == 0
    assert client.get("renamed") == b"v"
    assert other.mget("k5", "theirs") == [b"v", b"v"]
    assert client.dbsize() == 92

    client.flushdb()
    settle(server)
    server.kill9()
    server.restart()
    assert client.dbsize() == 0
    assert other.dbsize() == 2

    client.swapdb(1, 2)
    settle(server)
    server.kill9()
    server.restart()
    assert client.dbsize() == 2
    assert other.dbsize() == 0


def test_everything_a_site_keeps_survives(server, cache, user):
    with live_site() as address:
        ada, guest = Browser(address), Browser(address)
        ada.post("/login/", **user)
        page = guest.get("/page/minute/").body
        assert guest.get("/limited/", visitor="guest").status == 200
        for _ in range(2):
            assert guest.get("/limited/atomic/", visitor="guest", limit=2).status == 200
        for number in range(5):
            guest.post("/basket/", item=f"item {number}")
            ada.post("/basket/", item=f"item {number}")
            settle(server)
            server.kill9()
            server.restart()
            assert ada.get("/whoami/").json() == {"user": "ada"}
            assert guest.get("/whoami/").json() == {"user": None}
            items = [f"item {n}" for n in range(number + 1)]
            assert guest.get("/basket/").json()["basket"] == items
            assert ada.get("/basket/").json()["basket"] == items
            assert guest.get("/page/minute/").body == page
            assert guest.get("/limited/", visitor="guest").status == 429
            assert guest.get("/limited/atomic/", visitor="guest", limit=2).status == 429
        ada.post("/logout/")
        settle(server)
        server.kill9()
        server.restart()
        assert ada.get("/whoami/").json() == {"user": None}


def test_a_site_under_load_loses_no_session(server, cache):
    """Visitors put things into their baskets while the server is killed; a basket shows all that was confirmed."""

    class Visitor(threading.Thread):
        def __init__(self, address):
            super().__init__(daemon=True)
            self.browser = Browser(address)
            self.confirmed = []

        def run(self):
            for number in range(1_000_000):
                if self.browser.post("/basket/", item=f"item {number}").status != 200:
                    return
                self.confirmed.append(f"item {number}")

    with live_site() as address:
        visitors = [Visitor(address) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        wait_until(lambda: all(len(visitor.confirmed) >= 10 for visitor in visitors), seconds=30)
        server.kill9()
        for visitor in visitors:
            visitor.join(20)
        server.restart()
        for visitor in visitors:
            basket = visitor.browser.get("/basket/").json()["basket"]
            if nothing_may_be_lost(server):
                assert basket[: len(visitor.confirmed)] == visitor.confirmed
            assert len(basket) <= len(visitor.confirmed) + 1
            assert basket == [f"item {number}" for number in range(len(basket))]


def settle(server):
    """Lets a server that may answer before it writes (see `nothing_may_be_lost`) catch up; DJR gets no grace."""
    if not nothing_may_be_lost(server):
        client = server.client()
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0, what="an empty AOF buffer")
