"""redis-py's publish and subscribe, and its client-side cache, in both versions of the protocol."""

import threading
import time

import pytest


@pytest.fixture
def client(server, protocol):
    client = server.client(protocol=protocol, decode_responses=True)
    yield client
    client.close()


def wait_for(pubsub, kind, patience=5.0):
    """The next message of a kind."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        message = pubsub.get_message(timeout=0.1)
        if message and message["type"] == kind:
            return message
    raise AssertionError(f"no {kind}")


def test_channels_and_patterns(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("n*")
        wait_for(pubsub, "psubscribe")
        assert client.publish("news", "hello") == 2
        assert wait_for(pubsub, "message")["data"] == "hello"
        assert wait_for(pubsub, "pmessage")["pattern"] == "n*"
        assert client.pubsub_channels() == ["news"]
        assert client.pubsub_numpat() == 1
        assert client.pubsub_numsub("news", "other") == [("news", 1), ("other", 0)]
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        wait_for(pubsub, "punsubscribe")
        assert client.publish("news", "hello") == 0


def test_shard_channels(client):
    with client.pubsub() as pubsub:
        pubsub.ssubscribe("orders")
        wait_for(pubsub, "ssubscribe")
        assert client.spublish("orders", "x") == 1
        assert wait_for(pubsub, "smessage")["data"] == "x"
        pubsub.sunsubscribe("orders")
        wait_for(pubsub, "sunsubscribe")


def test_handlers_in_a_thread(client):
    got = []
    done = threading.Event()

    def handler(message):
        got.append(message["data"])
        if message["data"] == "end":
            done.set()

    pubsub = client.pubsub()
    pubsub.subscribe(news=handler)
    thread = pubsub.run_in_thread(sleep_time=0.01)
    until = time.monotonic() + 5
    while client.pubsub_numsub("news") != [("news", 1)] and time.monotonic() < until:
        time.sleep(0.01)
    for number in range(100):
        client.publish("news", str(number))
    client.publish("news", "end")
    assert done.wait(10)
    assert got == [str(number) for number in range(100)] + ["end"]
    thread.stop()
    thread.join()


def test_health_checks_are_pings_among_messages(server, protocol):
    client = server.client(protocol=protocol, decode_responses=True, health_check_interval=1)
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        wait_for(pubsub, "subscribe")
        time.sleep(1.1)
        # Sends a PING first, whose reply must not be taken for a message.
        pubsub.get_message(timeout=0.2)
        client.publish("news", "after")
        assert wait_for(pubsub, "message")["data"] == "after"


def test_the_client_side_cache_sees_changes(server):
    cache = pytest.importorskip("redis.cache")
    cached = server.client(protocol=3, decode_responses=True, cache_config=cache.CacheConfig())
    other = server.client(decode_responses=True)
    other.set("cached", "1")
    assert cached.get("cached") == "1"
    assert cached.get("cached") == "1"
    assert cached.get_cache().size >= 1
    other.set("cached", "2")
    until = time.monotonic() + 5
    while cached.get("cached") != "2":
        assert time.monotonic() < until, "the old value stays"
    other.flushall()
    until = time.monotonic() + 5
    while cached.get("cached") is not None:
        assert time.monotonic() < until, "the old value stays"


def test_functions(client, server):
    client.function_flush()
    code = (
        "#!lua name=mylib\n"
        "redis.register_function('myfunc', function(keys, args) return redis.call('set', keys[1], args[1]) end)"
    )
    assert client.function_load(code) == "mylib"
    assert client.fcall("myfunc", 1, "function:key", "v") == "OK"
    assert client.get("function:key") == "v"
    payload = server.client().function_dump()
    assert client.function_delete("mylib")
    assert client.function_restore(payload)
    assert client.fcall("myfunc", 1, "function:key", "w") == "OK"
    client.function_flush()
