"""Pipelines, transactions, WATCH and scripts through redis-py."""

import threading

import pytest
import redis
from redis.exceptions import NoScriptError, WatchError

from harness.threads import run_all
from harness.waiting import wait_until


@pytest.fixture
def r(server, protocol):
    return server.client(protocol=protocol)


# Pipelines and transactions


@pytest.mark.parametrize("transaction", [True, False])
def test_pipeline(r, transaction):
    with r.pipeline(transaction=transaction) as pipeline:
        pipeline.set("a", 1).incr("a").get("a").get("missing").mget("a", "b").expire("a", 10).exists("a")
        assert pipeline.execute() == [True, 2, b"2", None, [b"2", None], True, 1]


@pytest.mark.parametrize("transaction", [True, False])
def test_a_long_pipeline(r, transaction):
    with r.pipeline(transaction=transaction) as pipeline:
        for number in range(5000):
            pipeline.set(f"k{number}", number)
            pipeline.get(f"k{number}")
        replies = pipeline.execute()
    assert replies[0::2] == [True] * 5000
    assert replies[1::2] == [str(number).encode() for number in range(5000)]


def test_a_pipeline_of_large_replies(r):
    value = b"x" * 300_000
    r.set("k", value)
    with r.pipeline(transaction=False) as pipeline:
        for _ in range(100):
            pipeline.get("k")
        assert pipeline.execute() == [value] * 100


@pytest.mark.parametrize("transaction", [True, False])
def test_an_error_inside_does_not_stop_the_rest(r, transaction):
    with r.pipeline(transaction=transaction) as pipeline:
        pipeline.set("text", "abc").incr("text").set("after", 1)
        replies = pipeline.execute(raise_on_error=False)
    assert replies[0] is True and replies[2] is True
    assert isinstance(replies[1], redis.ResponseError)
    assert r.get("after") == b"1"


def test_a_wrong_command_aborts_the_transaction(r):
    with r.pipeline(transaction=True) as pipeline:
        pipeline.set("before", 1)
        pipeline.execute_command("GET")
        pipeline.set("after", 1)
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            pipeline.execute()
    assert r.dbsize() == 0
    connection = r.client()
    connection.execute_command("MULTI")
    with pytest.raises(redis.ResponseError):
        connection.execute_command("NOSUCH")
    with pytest.raises(redis.exceptions.ExecAbortError):
        connection.execute_command("EXEC")
    with pytest.raises(redis.ResponseError, match="EXEC without MULTI"):
        connection.execute_command("EXEC")
    with pytest.raises(redis.ResponseError, match="DISCARD without MULTI"):
        connection.execute_command("DISCARD")
    connection.close()


def test_discard(r):
    connection = r.client()
    assert connection.execute_command("MULTI") in (b"OK", True)
    # Queued; the reply of APPEND is not post-processed by redis-py.
    assert connection.execute_command("APPEND", "k", "v") == b"QUEUED"
    connection.execute_command("DISCARD")
    assert connection.get("k") is None
    connection.close()


def test_watch(r):
    r.set("k", 1)
    with r.pipeline() as pipeline:
        pipeline.watch("k")
        assert pipeline.get("k") == b"1"
        pipeline.multi()
        pipeline.set("k", 2)
        assert pipeline.execute() == [True]
    changes = [
        lambda: r.set("k", 3),
        lambda: r.delete("k"),
        lambda: r.expire("k", 100),
        lambda: r.rename("k", "elsewhere"),
        lambda: r.flushdb(),
        lambda: r.flushall(),
        lambda: r.append("k", "x"),
        lambda: r.eval("return redis.call('SET', KEYS[1], 1)", 1, "k"),
    ]
    for number, change in enumerate(changes):
        r.set("k", 1)
        with r.pipeline() as pipeline:
            pipeline.watch("k", "other")
            change()
            pipeline.multi()
            pipeline.set("done", number)
            with pytest.raises(WatchError):
                pipeline.execute()
    assert not r.exists("done")


def test_watch_sees_the_creation_of_a_missing_key_and_unwatch_forgets(r):
    with r.pipeline() as pipeline:
        pipeline.watch("missing")
        r.set("missing", 1)
        pipeline.multi()
        pipeline.get("missing")
        with pytest.raises(WatchError):
            pipeline.execute()
        pipeline.watch("missing")
        r.set("missing", 2)
        pipeline.unwatch()
        pipeline.get("missing")
        assert pipeline.execute() == [b"2"]
    # Reading changes nothing.
    with r.pipeline() as pipeline:
        pipeline.watch("missing")
        r.get("missing")
        r.exists("missing")
        pipeline.multi()
        pipeline.get("missing")
        assert pipeline.execute() == [b"2"]


def test_a_watch_loop_loses_no_increment(r, server, protocol):
    r.set("n", 0)

    def work():
        client = server_clients.pop()
        for _ in range(25):
            while True:
                with client.pipeline() as pipeline:
                    try:
                        pipeline.watch("n")
                        value = int(pipeline.get("n"))
                        pipeline.multi()
                        pipeline.set("n", value + 1)
                        pipeline.execute()
                        break
                    except WatchError:
                        continue

    server_clients = [server.client(protocol=protocol) for _ in range(6)]
    run_all([work] * 6)
    assert int(r.get("n")) == 150


def test_redis_py_transaction_helper(r):
    r.set("n", 5)

    def double(pipeline):
        value = int(pipeline.get("n"))
        pipeline.multi()
        pipeline.set("n", value * 2)

    assert r.transaction(double, "n") == [True]
    assert r.get("n") == b"10"


def test_a_transaction_is_seen_whole(server):
    """Readers never see half of it, whichever keys it writes."""
    writer, reader = server.client(), server.client()
    keys = [f"part:{number}" for number in range(20)]
    writer.mset(dict.fromkeys(keys, 0))
    stop = threading.Event()
    torn = []

    def write():
        for number in range(1, 300):
            with writer.pipeline(transaction=True) as pipeline:
                for key in keys:
                    pipeline.set(key, number)
                pipeline.execute()
        stop.set()

    def read():
        while not stop.is_set():
            values = reader.mget(keys)
            if len(set(values)) != 1:
                torn.append(values)

    run_all([write, read])
    assert not torn


# Scripts


def test_register_script(r):
    script = r.register_script("return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}")
    assert script(keys=["n"], args=[5]) == [b"n", b"5", 5]
    assert r.script_exists(script.sha, "0" * 40) == [True, False]
    assert r.evalsha(script.sha, 1, "n", 6) == [b"n", b"6", 11]
    assert r.script_flush() is True
    with pytest.raises(NoScriptError):
        r.evalsha(script.sha, 1, "n", 6)
    # redis-py loads it anew.
    assert script(keys=["n"], args=[1])[2] == 12
    with r.pipeline() as pipeline:
        script(keys=["n"], args=[1], client=pipeline)
        pipeline.get("n")
        assert pipeline.execute() == [[b"n", b"1", 13], b"13"]


def test_what_a_script_returns(r):
    for source, expected in [
        ("return 3.99", 3),
        ("return 'text'", b"text"),
        ("return true", 1),
        ("return false", None),
        ("return nil", None),
        ("return {1, 'a', {2, {'b'}}, nil, 5}", [1, b"a", [2, [b"b"]]]),
        ("return {1, false, 3}", [1, None, 3]),
        ("return redis.status_reply('FINE')", b"FINE"),
        ("return redis.call('GET', 'missing')", None),
        ("return tostring(redis.call('GET', 'missing'))", b"false"),
        ("return redis.call('SET', 'k', 'v')['ok']", b"OK"),
        ("return redis.sha1hex('')", b"da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("return cjson.encode({1, 2, {a = 'b'}})", b'[1,2,{"a":"b"}]'),
        ("return cjson.decode('{\"a\": [1, 2.5, null, true]}').a[2] * 2", 5),
        ("return {cmsgpack.unpack(cmsgpack.pack({1, 'two'}))}", [[1, b"two"]]),
        ("return {struct.unpack('>I2', struct.pack('>I2', 513))}", [513, 3]),
        ("return bit.bxor(5, 3)", 6),
        ("return #ARGV", 0),
        ("return _VERSION", b"Lua 5.1"),
    ]:
        assert r.eval(source, 0) == expected, source


def test_errors_of_scripts(r):
    r.set("text", "abc")
    for source, message in [
        ("return redis.error_reply('MY OWN')", "MY OWN"),
        ("return {err = 'CUSTOM error'}", "CUSTOM error"),
        ("return redis.call('INCR', 'text')", "value is not an integer"),
        ("return redis.call('NOSUCH')", "Unknown (Redis )?command called from script"),
        ("undefined_variable = 1", "Attempt to modify a readonly table"),
        ("return undefined_variable", "undefined_variable"),
        ("error('thrown')", "thrown"),
        ("this is not Lua", "Error compiling script"),
        ("return redis.call()", "at least one argument"),
    ]:
        with pytest.raises(redis.ResponseError, match=message):
            r.eval(source, 0)
    assert r.eval("local e = redis.pcall('INCR', 'text') return e['err'] ~= nil and 1 or 0", 0) == 1
    assert r.ping()


def test_a_script_that_fails_midway_keeps_what_it_did(r):
    with pytest.raises(redis.ResponseError):
        r.eval("redis.call('SET', 'a', 1) error('stop')", 0)
    assert r.get("a") == b"1"


def test_read_only_scripts(r):
    r.set("k", "v")
    assert r.eval_ro("return redis.call('GET', KEYS[1])", 1, "k") == b"v"
    with pytest.raises(redis.ResponseError, match="Write commands are not allowed from read-only scripts"):
        r.eval_ro("return redis.call('SET', KEYS[1], 'w')", 1, "k")
    sha = r.script_load("return redis.call('GET', KEYS[1])")
    assert r.evalsha_ro(sha, 1, "k") == b"v"


def test_scripts_select_and_see_their_own_db(server):
    server.client(2).set("k", "two")
    r = server.client(1)
    r.set("k", "one")
    assert r.eval("local a = redis.call('GET', 'k') redis.call('SELECT', 2) return {a, redis.call('GET', 'k')}", 0) == [
        b"one",
        b"two",
    ]
    assert r.get("k") == b"one", "the caller's db is left alone"


def test_setresp(server):
    # Which Lua type a reply becomes depends on the protocol that the script chose, not on the client's.
    for protocol in (2, 3):
        r = server.client(protocol=protocol)
        assert r.eval("redis.setresp(3) return tostring(redis.call('GET', 'missing'))", 0) == b"nil"
        assert r.eval("redis.setresp(2) return tostring(redis.call('GET', 'missing'))", 0) == b"false"


def test_script_kill(make_server):
    server = make_server(busy_reply_threshold=50)
    victim, killer = server.client(), server.client(retry=None)
    outcome = []

    def run():
        try:
            outcome.append(victim.eval("while true do end", 0))
        except redis.ResponseError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def busy():
        try:
            killer.get("k")
        except redis.ResponseError as error:
            return "BUSY" in str(error)
        return False

    wait_until(busy, what="the BUSY reply")
    assert killer.script_kill() in (True, b"OK", "OK")
    thread.join(20)
    assert "Script killed by user" in outcome[0]
    assert killer.set("k", "v")
    with pytest.raises(redis.ResponseError, match="No scripts in execution"):
        killer.script_kill()


def test_a_script_is_seen_whole(server):
    writer, reader = server.client(), server.client()
    source = "for i = 1, 20 do redis.call('SET', 'part:' .. i, ARGV[1]) end"
    keys = [f"part:{number}" for number in range(1, 21)]
    writer.mset(dict.fromkeys(keys, 0))
    stop = threading.Event()
    torn = []

    def write():
        script = writer.register_script(source)
        for number in range(1, 300):
            script(keys=keys, args=[number])
        stop.set()

    def read():
        while not stop.is_set():
            values = reader.mget(keys)
            if len(set(values)) != 1:
                torn.append(values)

    run_all([write, read])
    assert not torn
