"""redis-py against the server: strings, keys, expiry, in RESP2 and RESP3, as bytes and as text."""

import datetime
import time

import pytest
import redis

from harness.waiting import Lifetime


@pytest.fixture
def r(server, protocol):
    return server.client(protocol=protocol)


def needs(server, **versions):
    """Skips a test of what another server is too old for (see `Server.has`); DJR is never too old."""
    if not server.has(**versions):
        pytest.skip(f"needs {versions}")


# SET and its options


def test_set_nx_xx_get(r):
    assert r.set("k", "1", xx=True) is None
    assert r.set("k", "1", nx=True) is True
    assert r.set("k", "2", nx=True) is None
    assert r.set("k", "3", get=True) == b"1"
    assert r.set("new", "v", get=True) is None
    assert r.set("k", "4", xx=True) is True
    assert r.set("k", "5", nx=True, get=True) == b"4"
    assert r.get("k") == b"4"


def test_set_with_expiry(r):
    now = time.time()
    r.set("ex", "v", ex=100)
    r.set("px", "v", px=100_500)
    r.set("exat", "v", exat=int(now) + 1000)
    r.set("pxat", "v", pxat=int(now * 1000) + 1_000_500)
    r.set("delta", "v", ex=datetime.timedelta(minutes=2))
    assert 95 < r.ttl("ex") <= 100
    assert 95_000 < r.pttl("px") <= 100_500
    assert r.expiretime("exat") == int(now) + 1000
    assert r.pexpiretime("pxat") == int(now * 1000) + 1_000_500
    assert 115 < r.ttl("delta") <= 120
    r.set("ex", "w", keepttl=True)
    assert 95 < r.ttl("ex") <= 100
    r.set("ex", "w")
    assert r.ttl("ex") == -1


@pytest.mark.parametrize(
    "command",
    [
        ["SET", "k", "v", "EX", "0"],
        ["SET", "k", "v", "EX", "-1"],
        ["SET", "k", "v", "EX", "ten"],
        ["SET", "k", "v", "PX", "9223372036854775808"],
        ["SET", "k", "v", "EX", "9223372036854775"],
        ["SET", "k", "v", "EX", "10", "KEEPTTL"],
        ["SET", "k", "v", "NX", "XX"],
        ["SET", "k", "v", "WRONG"],
        ["SET", "k"],
        ["SETEX", "k", "0", "v"],
        ["GETEX", "k", "EX", "1", "PERSIST"],
        ["EXPIRE", "k", "1", "GT", "LT"],
        ["INCRBY", "k", "1.5"],
        ["NOSUCHCOMMAND"],
    ],
    ids=" ".join,
)
def test_errors_leave_everything_as_it_was(r, command):
    r.set("k", "before", ex=1000)
    with pytest.raises(redis.ResponseError):
        r.execute_command(*command)
    assert r.get("k") == b"before"
    assert 990 < r.ttl("k") <= 1000


def test_error_texts(server):
    r = server.client(retry=None)
    for command, text in [
        (["NOSUCH", "a", "b"], "unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        (["GET"], "wrong number of arguments for 'get' command"),
        (["SET", "k", "v", "EX", "0"], "invalid expire time in 'set' command"),
        (["SET", "k", "v", "FOO"], "syntax error"),
        (["INCR", "text"], "value is not an integer or out of range"),
        (["INCRBYFLOAT", "text", "1"], "value is not a valid float"),
        (["SELECT", "1000"], "DB index is out of range"),
        (["CONFIG", "NOSUCH"], "unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
    ]:
        r.set("text", "abc")
        with pytest.raises(redis.ResponseError) as error:
            r.execute_command(*command)
        assert str(error.value) == text


def test_set_if_equal(server, r):
    needs(server, redis_since=(8, 4), valkey_since=(8, 1))
    r.set("k", "one")
    assert r.set("k", "two", ifeq="other") is None
    assert r.get("k") == b"one"
    assert r.set("k", "two", ifeq="one") is True
    assert r.get("k") == b"two"
    assert r.set("missing", "v", ifeq="x") is None
    assert r.exists("missing") == 0


def test_set_if_not_equal_and_by_digest(server, r):
    needs(server, redis_since=(8, 4))
    r.set("k", "two")
    assert r.set("k", "three", ifne="two") is None
    assert r.set("k", "three", ifne="one", get=True) == b"two"
    digest = r.digest("k").decode()
    assert r.set("k", "four", ifdne=digest) is None
    assert r.set("k", "four", ifdeq=digest) is True
    assert r.get("k") == b"four"


def test_digest_is_xxh3_of_the_value(server, r):
    needs(server, redis_since=(8, 4))
    for value in ["", "a", "Hello world", "x" * 1000]:
        r.set("k", value)
        assert r.digest("k") == r.digest_local(value)
    assert r.digest("missing") is None


def test_delex(server, r):
    needs(server, redis_since=(8, 4))
    r.set("k", "v")
    assert r.delex("k", ifeq="other") == 0
    assert r.delex("k", ifne="v") == 0
    assert r.delex("k", ifeq="v") == 1
    assert r.delex("k") == 0


def test_delifeq(server, r):
    needs(server, valkey_since=(9, 0))
    r.set("k", "v")
    assert r.execute_command("DELIFEQ", "k", "other") == 0
    assert r.execute_command("DELIFEQ", "k", "v") == 1


def test_msetex(server, r):
    needs(server, redis_since=(8, 4), valkey_since=(9, 1))
    assert r.msetex({"a": 1, "b": 2}, ex=100) == 1
    assert 95 < r.ttl("a") <= 100 and 95 < r.ttl("b") <= 100
    assert r.msetex({"b": 3, "c": 4}, data_persist_option=redis.commands.core.DataPersistOptions.NX) == 0
    assert r.mget("a", "b", "c") == [b"1", b"2", None]


# Other string commands


def test_getters_and_setters(r):
    r.set("k", "v", ex=100)
    assert r.getset("k", "w") == b"v"
    assert r.ttl("k") == -1
    assert r.getex("k", ex=50) == b"w"
    assert 45 < r.ttl("k") <= 50
    assert r.getex("k", persist=True) == b"w"
    assert r.ttl("k") == -1
    assert r.getdel("k") == b"w"
    assert r.getdel("k") is None
    assert r.setnx("k", "1") is True
    assert r.setnx("k", "2") is False
    # redis-py advises against its methods for these two.
    assert r.execute_command("SETEX", "k", 100, "3") in (True, b"OK")
    assert 95 < r.ttl("k") <= 100
    assert r.execute_command("PSETEX", "k", 100_000, "4") in (True, b"OK")
    assert 95_000 < r.pttl("k") <= 100_000


def test_ranges(r):
    assert r.append("k", "Hello") == 5
    assert r.append("k", " World") == 11
    assert r.strlen("k") == 11
    assert r.getrange("k", 0, 4) == b"Hello"
    assert r.getrange("k", -5, -1) == b"World"
    assert r.getrange("k", 5, 3) == b""
    assert r.substr("k", 0, 0) == b"H"
    assert r.setrange("k", 6, "Redis") == 11
    assert r.setrange("gap", 3, "x") == 4
    assert r.get("gap") == b"\0\0\0x"
    assert r.strlen("missing") == 0


def test_numbers(r):
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decr("n") == 41
    assert r.decrby("n", 50) == -9
    assert r.incrbyfloat("f", 10.5) == 10.5
    assert r.incrbyfloat("f", 0.1) == 10.6
    assert r.get("f") == b"10.6"
    r.set("max", 2**63 - 1)
    with pytest.raises(redis.ResponseError, match="overflow"):
        r.incr("max")
    assert r.get("max") == b"9223372036854775807"
    assert r.object("encoding", "n") == b"int"


def test_multi_key(r):
    assert r.mset({"a": 1, "b": 2, "c": 3}) is True
    assert r.mget("a", "missing", "c") == [b"1", None, b"3"]
    assert r.msetnx({"c": 9, "d": 9}) is False
    assert r.exists("d") == 0
    assert r.msetnx({"d": 4, "e": 5}) is True
    assert r.exists("a", "a", "b", "missing") == 3
    assert r.touch("a", "b", "missing") == 2
    assert r.delete("a", "b", "missing") == 2
    assert r.unlink("c", "d") == 2
    assert r.dbsize() == 1


def test_lcs(r):
    r.mset({"a": "ohmytext", "b": "mynewtext"})
    assert r.lcs("a", "b") == b"mytext"
    assert r.lcs("a", "b", len=True) == 6
    found = r.lcs("a", "b", idx=True, minmatchlen=4, withmatchlen=True)
    if isinstance(found, dict):
        found = [item for pair in found.items() for item in pair]
    assert found == [b"matches", [[[4, 7], [5, 8], 4]], b"len", 6]


@pytest.mark.parametrize("size", [0, 1, 12, 23, 24, 63, 64, 255, 4095, 4096, 65_535, 65_536, 1 << 20, 16 << 20])
def test_values_of_every_size(r, size):
    value = bytes(i * 31 % 251 for i in range(min(size, 5000))) * (size // 5000 + 1)
    value = value[:size]
    r.set("k", value)
    assert r.strlen("k") == size
    assert r.get("k") == value
    key = b"\xff" + value[:70_000]
    r.set(key, size)
    assert r.get(key) == str(size).encode()


def test_text_replies(server, protocol):
    r = server.client(protocol=protocol, decode_responses=True)
    r.set("ключ", "値")
    assert r.get("ключ") == "値"
    assert r.keys() == ["ключ"]
    assert r.mget(["ключ", "missing"]) == ["値", None]
    assert r.type("ключ") == "string"
    assert r.set("ключ", "2", get=True) == "値"
    assert r.eval("return {KEYS[1], ARGV[1], 3, false}", 1, "k", "ü") == ["k", "ü", 3, None]
    assert r.config_get("appendonly") == {"appendonly": "yes"}
    assert isinstance(r.info()["redis_version"], str)


# Keys


def test_rename_copy_move(r, server):
    r.set("a", "1", ex=100)
    assert r.rename("a", "b") is True
    assert 95 < r.ttl("b") <= 100
    r.set("c", "2")
    assert r.renamenx("b", "c") is False
    assert r.copy("b", "c") is False
    assert r.copy("b", "c", replace=True) is True
    assert r.copy("b", "far", destination_db=3) is True
    assert 95 < server.client(3).ttl("far") <= 100
    assert r.move("b", 3) is True
    assert r.move("missing", 3) is False
    assert sorted(server.client(3).keys()) == [b"b", b"far"]
    assert r.keys() == [b"c"]
    with pytest.raises(redis.ResponseError, match="no such key"):
        r.rename("missing", "x")


def test_select_keeps_dbs_apart(server, protocol):
    clients = [server.client(db, protocol=protocol) for db in range(16)]
    for db, client in enumerate(clients):
        client.set("k", db)
        client.set(f"only-{db}", db)
    for db, client in enumerate(clients):
        assert client.get("k") == str(db).encode()
        assert sorted(client.keys()) == sorted([b"k", f"only-{db}".encode()])
    clients[5].flushdb()
    assert [client.dbsize() for client in clients] == [2] * 5 + [0] + [2] * 10
    assert clients[0].swapdb(0, 5) is True
    assert clients[0].dbsize() == 0
    assert clients[5].get("k") == b"0"
    assert set(clients[0].info("keyspace")) == {f"db{db}" for db in range(1, 16)}
    with pytest.raises(redis.ResponseError):
        server.client(16, protocol=protocol).ping()
    clients[0].flushall()
    assert sum(client.dbsize() for client in clients) == 0


def test_type_object_and_randomkey(r):
    assert r.randomkey() is None
    assert r.type("missing") == b"none"
    r.set("n", 1)
    assert r.randomkey() == b"n"
    r.set("short", "abc")
    r.set("long", "x" * 1000)
    assert [r.object("encoding", key) for key in ("n", "short", "long")] == [b"int", b"embstr", b"raw"]
    assert r.object("refcount", "short") == 1
    assert r.object("idletime", "short") < 60
    assert r.object("encoding", "missing") is None


def test_keys_patterns(r):
    r.mset({key: 1 for key in ["hello", "hallo", "hxllo", "heeeello", "h[llo", "user:1", "user:22", "a*b"]})
    assert sorted(r.keys("h?llo")) == [b"h[llo", b"hallo", b"hello", b"hxllo"]
    assert sorted(r.keys("h[ae]llo")) == [b"hallo", b"hello"]
    assert sorted(r.keys("h[^e]llo")) == [b"h[llo", b"hallo", b"hxllo"]
    assert sorted(r.keys("h[a-f]llo")) == [b"hallo", b"hello"]
    assert r.keys("a\\*b") == [b"a*b"]
    assert r.keys("h\\[llo") == [b"h[llo"]
    assert sorted(r.keys("user:*")) == [b"user:1", b"user:22"]
    assert len(r.keys("*")) == 8


def test_scan_finds_all_that_stays(r):
    stays = {f"stays:{number}".encode() for number in range(1000)}
    r.mset({key: 1 for key in stays})
    found = set()
    cursor, turn = 0, 0
    while True:
        cursor, keys = r.scan(cursor, count=10)
        found.update(keys)
        # The table grows and shrinks meanwhile.
        turn += 1
        r.mset({f"comes:{turn}:{number}": 1 for number in range(50)})
        if turn % 5 == 0:
            r.delete(*(f"comes:{back}:{number}" for back in range(turn - 4, turn + 1) for number in range(50)))
        if cursor == 0:
            break
        assert turn < 5000
    assert stays <= found


def test_scan_iter_options(r):
    r.mset({f"a:{number}": 1 for number in range(300)} | {f"b:{number}": 1 for number in range(300)})
    assert {key for key in r.scan_iter("a:*", count=7)} == {f"a:{number}".encode() for number in range(300)}
    assert len(set(r.scan_iter(count=1000))) == 600
    assert len(set(r.scan_iter(_type="string"))) == 600
    assert list(r.scan_iter(_type="list")) == []
    assert list(r.scan_iter("nothing")) == []


# Expiry


def test_expire_conditions(r):
    r.set("k", "v")
    assert r.expire("k", 100, xx=True) is False
    assert r.expire("k", 100, gt=True) is False
    assert r.expire("k", 100, nx=True) is True
    assert r.expire("k", 200, nx=True) is False
    assert r.expire("k", 50, gt=True) is False
    assert r.expire("k", 200, gt=True) is True
    assert r.expire("k", 300, lt=True) is False
    assert r.expire("k", 100, lt=True) is True
    assert 95 < r.ttl("k") <= 100
    assert r.expire("missing", 10) is False
    assert r.ttl("missing") == -2
    assert r.persist("k") is True
    assert r.pttl("k") == -1
    assert r.expiretime("k") == -1
    assert r.pexpiretime("missing") == -2


def test_a_negative_timeout_deletes(r):
    r.mset({"a": 1, "b": 2, "c": 3})
    assert r.expire("a", -1) is True
    assert r.pexpire("b", 0) is True
    assert r.expireat("c", 1) is True
    assert r.dbsize() == 0


def test_expiry_frees_without_being_asked(r):
    life = Lifetime(seconds=0.2)
    pipeline = r.pipeline(transaction=False)
    for number in range(2000):
        pipeline.set(f"k{number}", "v", px=200)
    pipeline.set("stays", "v")
    pipeline.execute()
    # No key is read: the server must find them by itself.
    life.ends_when(lambda: r.dbsize() == 1)
    assert r.info("stats")["expired_keys"] >= 2000


def test_an_expired_key_is_gone_for_every_command(r):
    life = Lifetime(seconds=0.05)
    # k0 last, so that the others are gone when it is.
    for number in reversed(range(12)):
        r.set(f"k{number}", "old", px=50)
    life.ends_when(lambda: r.get("k0") is None)
    assert r.exists("k1") == 0
    assert r.ttl("k2") == -2
    assert r.append("k3", "new") == 3
    assert r.incr("k4") == 1
    assert r.setnx("k5", "new") is True
    assert r.getset("k6", "new") is None
    assert r.type("k7") == b"none"
    assert r.persist("k8") is False
    assert r.delete("k9") == 0
    assert r.strlen("k10") == 0
    assert b"k11" not in r.keys()
