"""AUTH, CONFIG, INFO, COMMAND and other words to the server itself, through redis-py."""

import time

import pytest
import redis

from harness.server import no_retry
from project.caches import configuration, using


@pytest.fixture
def r(server, protocol):
    return server.client(protocol=protocol)


# AUTH


@pytest.fixture
def locked(make_server):
    return make_server(password="s3cret: /@")


def test_without_the_password_nothing_but_an_error(locked, protocol):
    with pytest.raises(redis.AuthenticationError):
        locked.client(password=None, protocol=protocol, retry=no_retry()).get("k")
    with pytest.raises(redis.AuthenticationError):
        locked.client(password="wrong", protocol=protocol, retry=no_retry()).ping()
    refused = b"-NOAUTH Authentication required.\r\n"
    wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
    for requests, expected in [
        (b"GET k\r\nPING\r\nECHO a\r\n", refused * 3),
        (b"AUTH wrong\r\n", wrong),
        (b"AUTH default wrong\r\n", wrong),
        (b"AUTH nobody wrong\r\nGET k\r\n", wrong + refused),
    ]:
        with locked.connect() as connection:
            connection.sendall(requests)
            received = b""
            while len(received) < len(expected):
                received += connection.recv(4096)
            assert received == expected
    with locked.connect() as connection:
        connection.sendall(b"HELLO 3\r\n")
        assert connection.recv(4096).startswith(b"-NOAUTH HELLO must be called with the client already authenticated")


def test_with_the_password(locked, protocol):
    for options in ({}, {"username": "default"}):
        r = locked.client(protocol=protocol, **options)
        assert r.set("k", "v")
        assert r.client_info()["user"] == "default"
    with redis.Redis.from_url(locked.url(1, protocol=protocol)) as r:
        assert r.ping()
        assert r.auth("s3cret: /@") is True
        with pytest.raises(redis.AuthenticationError):
            r.auth("wrong")


@pytest.mark.parametrize("backend", ["django-redis", "django"])
def test_django_with_a_password(locked, backend, protocol):
    with using(configuration(backend, locked.url(1, protocol=protocol))) as cache:
        cache.set("k", "v")
        assert cache.get("k") == "v"


def test_django_redis_with_the_password_in_its_options(locked):
    url = f"redis://127.0.0.1:{locked.port}/1"
    with using(configuration("django-redis", url, PASSWORD=locked.password)) as cache:
        cache.set("k", "v")
        assert cache.get("k") == "v"
    with using(configuration("django-redis", url)) as cache, pytest.raises(redis.AuthenticationError):
        cache.get("k")


def test_the_password_survives_a_restart_by_the_command_line(locked):
    locked.client().set("k", "v")
    locked.kill9()
    locked.restart()
    assert locked.client().get("k") == b"v"
    with pytest.raises(redis.AuthenticationError):
        locked.client(password=None, retry=no_retry()).get("k")


def test_a_password_set_while_running(make_server):
    server = make_server()
    inside = server.client(single_connection_client=True)
    assert inside.config_set("requirepass", "later") is True
    assert inside.ping(), "who is in stays in"
    with pytest.raises(redis.AuthenticationError):
        server.client(retry=no_retry()).ping()
    assert server.client(password="later").ping()
    inside.config_set("requirepass", "")
    assert server.client().ping()


def test_auth_without_a_password_configured(server):
    with pytest.raises(redis.AuthenticationError, match="without any password configured"):
        server.client(retry=no_retry()).execute_command("AUTH", "anything")


# CONFIG


def test_config_get(r, server):
    assert r.config_get("port") == {"port": str(server.port)}
    assert r.config_get("appendfsync") == {"appendfsync": "everysec"}
    assert r.config_get("save") == {"save": ""}
    assert r.config_get("dir") == {"dir": str(server.dir)}
    assert r.config_get("nosuch") == {}
    both = r.config_get("appendonly", "maxclients")
    assert both["appendonly"] == "yes" and int(both["maxclients"]) > 0
    assert {"appendonly", "appendfsync"} <= r.config_get("append*").keys()
    assert len(r.config_get("*")) > 10


def test_config_set(make_server, protocol):
    server = make_server()
    r = server.client(protocol=protocol)
    for name, value in [
        ("appendfsync", "always"),
        ("appendfsync", "no"),
        ("timeout", "300"),
        ("maxclients", "50"),
        ("proto-max-bulk-len", str(1 << 20)),
        ("busy-reply-threshold", "1234"),
    ]:
        assert r.config_set(name, value) is True
        assert r.config_get(name) == {name: value}
    # Several at once, all or nothing.
    assert r.execute_command("CONFIG", "SET", "timeout", "10", "tcp-keepalive", "77")
    with pytest.raises(redis.ResponseError):
        r.execute_command("CONFIG", "SET", "timeout", "20", "appendfsync", "sometimes")
    assert r.config_get("timeout", "tcp-keepalive") == {"timeout": "10", "tcp-keepalive": "77"}
    for name, value in [("nosuch", "1"), ("appendfsync", "sometimes"), ("timeout", "-1"), ("timeout", "abc"), ("port", "x")]:
        with pytest.raises(redis.ResponseError, match="CONFIG SET failed|Unknown option"):
            r.config_set(name, value)
    # The limit set above is in force.
    with pytest.raises((redis.ResponseError, redis.ConnectionError)):
        server.client(retry=no_retry()).set("k", b"x" * (2 << 20))
    assert r.ping()


def test_config_set_memory_units(make_server):
    r = make_server().client()
    assert r.config_set("proto-max-bulk-len", "2mb") is True
    assert r.config_get("proto-max-bulk-len") == {"proto-max-bulk-len": str(2 << 20)}


def test_config_resetstat(r):
    r.get("k")
    assert r.info("stats")["keyspace_misses"] > 0
    assert r.config_resetstat() is True
    assert r.info("stats")["keyspace_misses"] == 0


# INFO and others


def test_info(r, server):
    r.mset({"a": 1, "b": 2})
    r.set("c", 3, ex=1000)
    r.get("a")
    r.get("missing")
    info = r.info()
    assert info["redis_version"]
    assert info["tcp_port"] == server.port
    assert info["process_id"] == server.process.pid
    assert info["uptime_in_seconds"] >= 0
    assert info["connected_clients"] >= 1
    assert info["used_memory"] > 0
    assert info["aof_enabled"] == 1
    assert info["loading"] == 0
    assert info["total_commands_processed"] > 0
    assert info["keyspace_hits"] > 0 and info["keyspace_misses"] > 0
    assert info["used_cpu_user"] >= 0
    assert info["db0"]["keys"] == 3 and info["db0"]["expires"] == 1
    for section in ["server", "clients", "memory", "persistence", "stats", "cpu", "keyspace"]:
        assert r.info(section).items() != info.items(), "one section only"
        assert r.info(section)
    commands = r.info("commandstats")
    assert commands["cmdstat_mset"]["calls"] >= 1
    with pytest.raises(redis.ResponseError):
        r.execute_command("INCR")
    assert any(name.startswith("errorstat_ERR") for name in r.info("errorstats"))


def test_djr_names_itself(server):
    if not server.is_djr:
        pytest.skip("for DJR only")
    version = server.client().info("server")["redis_version"].split(".")
    assert tuple(int(part) for part in version) >= (7, 2, 0), "what clients read to see which commands there are"


def test_time_and_lastsave(r):
    seconds, microseconds = r.time()
    assert abs(seconds - time.time()) < 5
    assert 0 <= microseconds < 1_000_000
    assert r.lastsave() is not None


def test_command(server, protocol):
    r = server.client(protocol=protocol, decode_responses=True)
    assert r.command_count() > 70
    get = r.command()["get"]
    assert get["arity"] == 2
    assert {"readonly", "fast"} <= set(get["flags"])
    assert (get["first_key_pos"], get["last_key_pos"], get["step_count"]) == (1, 1, 1)
    assert r.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"]
    assert r.command_getkeys("EVAL", "return 1", 2, "x", "y", "z") == ["x", "y"]
    assert {"get", "set", "client", "eval"} <= set(r.command_list())


def test_lolwut(r):
    assert r.lolwut()
