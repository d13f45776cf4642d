"""Connections through redis-py: handshake, CLIENT, pools, Unix sockets, and the errors that must not close them."""

import socket
import threading
import time

import pytest
import redis
from redis.maint_notifications import MaintNotificationsConfig

from harness.server import no_retry
from harness.threads import run_all
from harness.waiting import Lifetime, wait_until
from project.caches import configuration, using


@pytest.fixture
def r(server, protocol):
    """One client on one connection, so that CLIENT speaks of the same one each time."""
    return server.client(protocol=protocol, single_connection_client=True, decode_responses=True)


def test_hello(server):
    for protocol in (2, 3):
        r = server.client(protocol=protocol)
        reply = r.execute_command("HELLO", protocol)
        if isinstance(reply, list):
            reply = dict(zip(reply[::2], reply[1::2]))
        assert reply[b"proto"] == protocol
        assert reply[b"mode"] == b"standalone"
        assert reply[b"role"] == b"master"
        assert reply[b"id"] > 0
        assert {b"server", b"version", b"modules"} <= reply.keys()
        with pytest.raises(redis.ResponseError, match="unsupported protocol version"):
            r.execute_command("HELLO", 4)


def test_the_handshake_of_redis_py(server):
    """What redis-py sends when it connects: HELLO 3, CLIENT MAINT_NOTIFICATIONS, CLIENT SETINFO, SELECT."""
    r = server.client(5, client_name="handshake", maint_notifications_config=MaintNotificationsConfig(enabled="auto"))
    assert r.ping()
    info = r.client_info()
    assert info["name"] == "handshake"
    assert int(info["db"]) == 5
    assert int(info["resp"]) == 3
    if server.has(redis_since=(7, 2), valkey_since=(7, 2)):
        assert info["lib-name"].startswith("redis-py")
        assert info["lib-ver"] == redis.__version__


def test_an_unknown_client_subcommand_is_an_error_and_no_more(r):
    before = r.client_id()
    for arguments in (["NOSUCH"], ["NOSUCH", "a", "b"], ["MAINT_NOTIFICATIONS_X", "ON"], [""]):
        with pytest.raises(redis.ResponseError):
            r.execute_command("CLIENT", *arguments)
        assert r.client_id() == before, "still the same connection"
    r.set("k", "v")
    assert r.get("k") == "v"


def test_an_unknown_client_subcommand_on_the_wire(server):
    with server.connect() as connection:
        connection.sendall(b"*5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOTIFICATIONS\r\n$2\r\nON\r\n$1\r\na\r\n$1\r\nb\r\nPING\r\n")
        received = b""
        while not received.endswith(b"+PONG\r\n"):
            received += connection.recv(4096)
    assert received.startswith(b"-ERR ") and received.count(b"\r\n") == 2


def test_name_and_info(r):
    assert r.client_getname() in (None, "")
    assert r.client_setname("worker-1") is True
    assert r.client_getname() == "worker-1"
    with pytest.raises(redis.ResponseError):
        r.client_setname("with space")
    info = r.client_info()
    assert info["id"] == r.client_id()
    assert info["name"] == "worker-1"
    assert info["cmd"] == "client|info"
    assert info["user"] == "default"
    assert info["addr"].startswith("127.0.0.1:")


def test_setinfo(server, r):
    if not server.has(redis_since=(7, 2), valkey_since=(7, 2)):
        pytest.skip("needs Redis 7.2 or newer")
    assert r.client_setinfo("lib-name", "my-library") is True
    assert r.client_setinfo("lib-ver", "1.2.3") is True
    assert r.client_info()["lib-name"] == "my-library"
    with pytest.raises(redis.ResponseError):
        r.client_setinfo("lib-name", "with space")
    with pytest.raises(redis.ResponseError):
        r.execute_command("CLIENT", "SETINFO", "nosuch", "v")


def test_list_and_filters(server, r):
    other = server.client(3, client_name="other", single_connection_client=True)
    ids = {int(entry["id"]): entry for entry in r.client_list()}
    assert r.client_id() in ids and other.client_id() in ids
    assert ids[other.client_id()]["name"] == "other"
    assert ids[other.client_id()]["db"] == "3"
    assert [entry["name"] for entry in r.client_list(client_id=[other.client_id()])] == ["other"]
    assert r.client_list(_type="replica") == []


def test_kill(server, r):
    victim = server.client(client_name="victim", single_connection_client=True, retry=no_retry())
    first = victim.client_id()
    assert r.client_kill_filter(_id=first) == 1
    assert r.client_kill_filter(_id=first) == 0
    with pytest.raises(redis.ConnectionError):
        victim.ping()
    assert victim.ping(), "and redis-py connects anew"
    assert victim.client_id() != first
    address = victim.client_info()["addr"]
    assert r.client_kill(address) is True
    with pytest.raises(redis.ResponseError, match="No such client"):
        r.client_kill(address)
    # A client may end itself, after the reply.
    own = r.client_id()
    assert r.client_kill_filter(_id=own, skipme=False) == 1


def test_reply_off_and_skip(server):
    with server.connect() as connection:
        connection.sendall(b"CLIENT REPLY OFF\r\nSET k v\r\nINCR n\r\nCLIENT REPLY ON\r\nGET k\r\nCLIENT REPLY SKIP\r\nGET k\r\nPING\r\n")
        expected = b"+OK\r\n$1\r\nv\r\n+PONG\r\n"
        received = b""
        while len(received) < len(expected):
            received += connection.recv(4096)
        assert received == expected


def test_pause_holds_commands_back_and_lets_them_go(server):
    r = server.client()
    life = Lifetime(seconds=0.3)
    assert r.client_pause(300, all=False) in (True, b"OK")
    r.get("k")  # reading goes on
    r.set("k", "v")
    life.ends_when(lambda: True)
    assert r.get("k") == b"v"

    r.client_pause(60_000, all=False)
    waiting = threading.Thread(target=server.client().set, args=["k", "w"], daemon=True)
    waiting.start()
    assert r.get("k") == b"v"
    assert r.client_unpause() in (True, b"OK")
    waiting.join(10)
    assert not waiting.is_alive()
    assert r.get("k") == b"w"


def test_a_client_that_gave_up_waiting_can_go_on(server):
    r = server.client()
    impatient = server.client(socket_timeout=0.1, retry=no_retry())
    impatient.set("k", "v")
    r.client_pause(60_000, all=False)
    with pytest.raises(redis.TimeoutError):
        impatient.set("k", "w")
    r.client_unpause()
    wait_until(lambda: impatient.get("k") is not None)
    assert impatient.set("k", "x")
    assert impatient.get("k") == b"x"


def test_no_evict_and_no_touch(server, r):
    assert r.client_no_evict("ON")
    assert r.client_no_evict("OFF")
    if server.has(redis_since=(7, 2), valkey_since=(7, 2)):
        assert r.client_no_touch("ON")
        assert r.client_no_touch("OFF")


def test_reset_and_quit(server):
    with server.connect() as connection:
        connection.sendall(b"SELECT 3\r\nMULTI\r\nSET k v\r\nRESET\r\nEXEC\r\nCLIENT GETNAME\r\nSET k v\r\nQUIT\r\n")
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
    assert received == b"+OK\r\n+OK\r\n+QUEUED\r\n+RESET\r\n-ERR EXEC without MULTI\r\n$-1\r\n+OK\r\n+OK\r\n"
    assert server.client(0).get("k") == b"v", "RESET goes back to db 0"


def test_ping_and_echo(r):
    assert r.ping() is True
    assert r.echo("hällo") == "hällo"


def test_protocol_errors_close_only_the_connection_that_sent_them(server):
    # One that dials in in a strange language, one that says something too long, one that hangs up halfway.
    for request, reply in [
        (b"*1\r\n+PING\r\n", b"-ERR Protocol error: expected '$', got '+'\r\n"),
        (b"*1\r\n$-5\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*99999999999\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"SET k \"unbalanced\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
    ]:
        with server.connect() as connection:
            connection.sendall(request)
            received = b""
            try:
                while chunk := connection.recv(4096):
                    received += chunk
            except ConnectionResetError:
                # It closed while bytes of ours were still under way.
                pass
            assert received == reply
    connection = server.connect()
    connection.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf")
    connection.close()
    assert server.client().exists("k") == 0


def test_requests_in_small_pieces(server):
    value = bytes(range(256)) * 4
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1024\r\n" + value + b"\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    for size in (1, 3, 7, 100):
        with server.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(request), size):
                connection.sendall(request[start : start + size])
            expected = b"+OK\r\n$1024\r\n" + value + b"\r\n"
            received = b""
            while len(received) < len(expected):
                received += connection.recv(4096)
            assert received == expected


def test_a_pool_with_health_checks(server, protocol):
    pool = redis.ConnectionPool.from_url(server.url(1, protocol=protocol), health_check_interval=1, max_connections=4)
    try:
        r = redis.Redis(connection_pool=pool)
        r.set("k", "v")
        connection = pool.get_connection()
        assert connection.health_check_interval == 1
        connection.next_health_check = 0
        pool.release(connection)
        connection.next_health_check = 1
        assert r.get("k") == b"v"
        assert connection.next_health_check > 1, "a PING came first"
        # More connections than allowed are refused by the client itself.
        held = [pool.get_connection() for _ in range(4)]
        with pytest.raises(redis.exceptions.MaxConnectionsError):
            pool.get_connection()
        for connection in held:
            pool.release(connection)
    finally:
        pool.disconnect()


def test_a_blocking_pool_shared_by_threads(server):
    pool = redis.BlockingConnectionPool.from_url(server.url(1), max_connections=3, timeout=20, client_name="pooled")
    try:
        r = redis.Redis(connection_pool=pool)
        run_all([lambda: [r.incr("n") for _ in range(100)]] * 12)
        assert r.get("n") == b"1200"
        assert len([entry for entry in r.client_list() if entry["name"] == "pooled"]) <= 3
    finally:
        pool.disconnect()


def test_a_pool_survives_a_restart(make_server):
    server = make_server(appendfsync="always")
    r = server.client()
    r.set("k", "v")
    server.kill9()
    server.restart()
    assert r.get("k") == b"v"


def test_many_connections(server):
    clients = [server.client(single_connection_client=True) for _ in range(200)]
    for number, client in enumerate(clients):
        client.set(f"k{number}", number)
    connected = server.client().info("clients")["connected_clients"]
    assert connected >= 200
    assert [client.get(f"k{199 - number}") for number, client in enumerate(clients)] == [
        str(199 - number).encode() for number in range(200)
    ]
    for client in clients:
        client.close()
    wait_until(lambda: server.client().info("clients")["connected_clients"] <= connected - 190)


def test_maxclients(make_server):
    server = make_server(maxclients=5)
    held = [server.client(single_connection_client=True, retry=no_retry()) for _ in range(5)]
    for client in held:
        client.ping()
    with server.connect() as refused:
        assert refused.recv(4096) == b"-ERR max number of clients reached\r\n"
        assert refused.recv(4096) == b""
    held[0].close()
    wait_until(lambda: server.answers(server.port))


def test_idle_clients_are_closed_after_the_timeout(make_server):
    server = make_server(timeout=1)
    with server.connect() as connection:
        life = Lifetime(seconds=1)
        connection.sendall(b"PING\r\n")
        assert connection.recv(64) == b"+PONG\r\n"
        assert connection.recv(64) == b""
        # The check runs once a second, so only the lower bound is sharp.
        assert time.monotonic() - life.started >= 0.9


@pytest.mark.parametrize("backend", ["django-redis", "django"])
def test_unix_socket(make_server, backend):
    server = make_server(unixsocket="djr.sock")
    with redis.Redis(unix_socket_path=str(server.unixsocket)) as r:
        r.set("k", "v")
        assert f"{server.unixsocket}:0" in r.client_info()["addr"]
    assert server.client().get("k") == b"v"
    with using(configuration(backend, f"unix://{server.unixsocket}?db=1")) as cache:
        cache.set("k", [1])
        assert cache.get("k") == [1]
    assert server.client(1).dbsize() == 1
    server.kill9()
    # The socket file is still there; it must not keep the server from starting.
    server.restart()
    with redis.Redis(unix_socket_path=str(server.unixsocket)) as r:
        assert r.ping()
