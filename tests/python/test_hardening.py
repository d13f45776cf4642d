"""Clients that harm, by mistake or on purpose: they are refused or let go, and the others feel nothing of it."""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import redis

from harness.server import Server, binary, free_port, no_retry
from harness.waiting import wait_until


def command(*words):
    """A request in RESP."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)


def ask(connection, request):
    """Sends bytes, returns the first bytes of the answer; none if the connection was closed instead."""
    try:
        connection.sendall(request)
        return connection.recv(4096)
    except ConnectionError:
        return b""


def is_closed(connection):
    """Whether the server has closed it, within the socket's timeout."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"host: x\r\n"])
def test_what_a_browser_is_made_to_send_is_not_executed(server, line):
    client = server.client()
    with server.connect() as connection:
        connection.sendall(line + b"\r\nSET planted 1\r\n" * 3)
        assert is_closed(connection)
    assert client.exists("planted") == 0


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*2\r\n$4\r\nPING\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
    ],
)
def test_who_has_not_logged_in_may_not_say_much(make_server, request_, error):
    server = make_server(password="secret")
    with server.connect() as connection:
        assert ask(connection, request_) == error
        assert is_closed(connection)
    # With a password it may.
    with server.connect() as connection:
        assert ask(connection, b"AUTH secret\r\n") == b"+OK\r\n"
        assert ask(connection, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n" + b"x" * 20000 + b"\r\n") == b"+OK\r\n"


def test_more_clients_than_allowed_are_told_so(make_server):
    server = make_server(maxclients=20)
    client = server.client()
    client.ping()
    held = []
    try:
        refused = 0
        for _ in range(30):
            connection = server.connect()
            held.append(connection)
            answer = ask(connection, b"PING\r\n")
            refused += answer == b"-ERR max number of clients reached\r\n"
            assert answer in (b"+PONG\r\n", b"-ERR max number of clients reached\r\n")
        assert refused == 11
        assert client.info("stats")["rejected_connections"] == refused
        held.pop(0).close()
        wait_until(lambda: client.info("clients")["connected_clients"] == 19, seconds=10)
        held.append(server.connect())
        assert ask(held[-1], b"PING\r\n") == b"+PONG\r\n"
    finally:
        for connection in held:
            connection.close()


def test_idle_clients_are_let_go_and_waiting_ones_are_not(make_server):
    server = make_server(timeout=1)
    idle, blocked, subscriber = server.connect(), server.connect(), server.connect()
    with idle, blocked, subscriber:
        assert ask(idle, b"PING\r\n") == b"+PONG\r\n"
        blocked.sendall(b"BLPOP queue 0\r\n")
        assert b"subscribe" in ask(subscriber, b"SUBSCRIBE news\r\n")
        assert is_closed(idle)
        # As long again.
        time.sleep(1.5)
        client = server.client()
        client.rpush("queue", "task")
        client.publish("news", "told")
        assert b"task" in blocked.recv(4096)
        assert b"told" in subscriber.recv(4096)


def test_who_does_not_read_is_let_go(make_server):
    server = make_server(client_output_buffer_limit="normal 4mb 0 0")
    client = server.client()
    client.set("large", b"x" * (1 << 20))
    with server.connect() as connection:
        # Now it is counted.
        assert ask(connection, b"PING\r\n") == b"+PONG\r\n"
        connection.sendall(b"GET large\r\n" * 100)
        wait_until(lambda: client.info("clients")["connected_clients"] == 1, seconds=20)
        assert client.ping()
    if server.has(redis_since=(7, 2), valkey_since=(7, 2)):
        assert client.info("stats")["client_output_buffer_limit_disconnections"] == 1


@pytest.mark.parametrize(("limit", "seconds"), [("8mb 0 0", 0), ("0 2mb 2", 2)])
def test_a_subscriber_who_does_not_read_is_let_go(make_server, limit, seconds):
    server = make_server(client_output_buffer_limit=f"pubsub {limit}")
    client = server.client()
    with server.connect() as slow, server.connect() as quick:
        for subscriber in slow, quick:
            assert b"subscribe" in ask(subscriber, b"SUBSCRIBE news\r\n")
        started = time.monotonic()
        for _ in range(40):
            # Valkey counts large ones once for all who get them.
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(100):
                    pipeline.publish("news", b"x" * 10_000)
                pipeline.execute()
            received = 0
            while received < 100 * 10_000:
                piece = quick.recv(1 << 20)
                assert piece
                received += len(piece)
        wait_until(lambda: client.pubsub_numsub("news")[0][1] == 1, seconds=20)
        # The soft limit counts when it has been exceeded for so long.
        assert time.monotonic() - started >= seconds
        assert client.publish("news", b"told") == 1
        assert b"told" in quick.recv(1 << 20)[-100:]
    if server.has(redis_since=(7, 2), valkey_since=(7, 2)):
        assert client.info("stats")["client_output_buffer_limit_disconnections"] == 1


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"*1\r\n" * 100_000, b"-ERR Protocol error: expected '$', got '*'\r\n"),
        (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*2\r\n$3\r\nGET\r\n$536870913\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"[" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
        (b"*" + b"1" * 70_000, b"-ERR Protocol error: too big mbulk count string\r\n"),
        (b"*1\r\n$" + b"1" * 70_000, b"-ERR Protocol error: too big bulk count string\r\n"),
        (b"SET k '" + b"'\\" * 1000 + b"\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    ],
    ids=["nested", "arguments", "bulk", "inline", "count", "length", "quotes"],
)
def test_what_is_no_request_is_refused(server, request_, error):
    with server.connect() as connection:
        assert ask(connection, request_) == error
        assert is_closed(connection)
    # In the old form there is no nesting.
    with server.connect() as connection:
        assert ask(connection, b"[" * 10_000 + b"\r\n").startswith(b"-ERR unknown command")


def test_what_is_announced_takes_no_memory(server):
    client = server.client()
    before = client.info("memory")["used_memory_rss"]
    connections = [server.connect() for _ in range(20)]
    try:
        for connection in connections:
            # 512 MiB, of which little comes.
            connection.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 1000)
        wait_until(lambda: client.info("clients")["connected_clients"] == 21, seconds=10)
        assert client.ping()
        assert client.info("memory")["used_memory_rss"] < before + (128 << 20)
    finally:
        for connection in connections:
            connection.close()
    assert client.exists("k") == 0


def another_address():
    """An address of this host that is not the loopback's; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_without_a_password_nobody_comes_in_from_elsewhere(make_server):
    address = another_address()
    if address is None:
        pytest.skip("NOT TESTED: protected mode: this machine has no address but the loopback's")
    server = make_server(bind="*")

    def answer():
        with socket.create_connection((address, server.port), timeout=10) as connection:
            return ask(connection, b"PING\r\n")

    refusal = answer()
    assert refusal.startswith(b"-DENIED ") and b"protected mode" in refusal and refusal.endswith(b"\r\n")
    client = server.client()
    assert client.ping()
    client.config_set("protected-mode", "no")
    assert answer() == b"+PONG\r\n"
    client.config_set("protected-mode", "yes")
    assert answer().startswith(b"-DENIED ")
    # Who must know a password may come from anywhere.
    client.config_set("requirepass", "secret")
    assert answer().startswith(b"-NOAUTH ")


@pytest.mark.parametrize(
    "script",
    [
        # Tables in tables, from every side.
        "local t = {} for _ = 1, 100000 do t = {t} end return t",
        "local t = {} for _ = 1, 100000 do t = {t} end return cjson.encode(t)",
        "local t = {} for _ = 1, 100000 do t = {t} end return cmsgpack.pack(t)",
        "return cjson.decode(string.rep('[', 100000) .. string.rep(']', 100000))",
        "return cmsgpack.unpack(string.rep('\\145', 100000))",
        # Calls in calls, of functions and patterns.
        "local function f() return 1 + f() end return f()",
        "local function f(n) return pcall(f, n + 1) end return f(1)",
        "return string.find(string.rep('a', 300000), string.rep('a?', 300000) .. 'b')",
        # Numbers that are no sizes.
        "return string.rep('x', 1e15)",
        "return string.format('%99999d', 1)",
        "return {unpack({}, 1, 1e8)}",
        "return struct.pack('>I9999', 1)",
        "return redis.call('SETRANGE', 'k', 1e15, 'x')",
    ],
)
def test_no_script_ends_the_server(server, script):
    if "a?" in script and not server.is_djr:
        pytest.skip("ends Redis 7.0")
    with server.connect() as connection:
        # Not read as a whole: redis-py would call itself for each level of a reply.
        assert ask(connection, command("EVAL", script, 0))[:1] in b"-:$*"
    assert server.client().ping()


def test_an_endless_script_can_be_stopped(make_server):
    server = make_server(busy_reply_threshold=100)
    client, runner = server.client(), server.client(socket_timeout=60)
    outcome = []

    def run():
        try:
            outcome.append(runner.eval("while true do end", 0))
        except redis.RedisError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def is_busy():
        try:
            client.get("k")
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
        return False

    wait_until(is_busy, seconds=20)
    assert client.script_kill()
    thread.join(30)
    assert "Script killed by user" in str(outcome[0])
    assert client.get("k") is None


def test_the_memory_of_a_script_is_given_back(make_server):
    client = make_server().client(socket_timeout=60)

    def resident():
        return client.info("memory")["used_memory_rss"]

    before = resident()
    assert client.eval("local t = {} for i = 1, 200 do t[i] = string.rep('x', 1e6) .. i end return #t", 0) == 200
    client.script_flush()
    wait_until(lambda: resident() < before + (100 << 20), seconds=20)


def test_the_log_file_can_be_moved_away(make_server, tmp_path):
    log, moved = tmp_path / "djr.log", tmp_path / "djr.log.1"
    server = make_server(logfile=str(log))
    log.rename(moved)
    # What logrotate sends to many programs. Here it is not needed, and does no harm.
    os.kill(server.process.pid, signal.SIGHUP)
    assert server.client().ping()
    assert server.terminate() == 0
    assert "Ready to accept connections" in moved.read_text()
    assert "Received SIGTERM scheduling shutdown" in log.read_text()


def test_a_daemon_leaves_its_terminal_and_says_where_it_is(tmp_path):
    pidfile, port = tmp_path / "djr.pid", free_port()
    command = [binary(), "--daemonize", "yes", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    command += ["--pidfile", str(pidfile), "--logfile", str(tmp_path / "djr.log")]
    assert subprocess.run(command, timeout=60, stdin=subprocess.DEVNULL).returncode == 0
    with redis.Redis(port=port, retry=no_retry()) as client:
        wait_until(lambda: Server.answers(port), seconds=30)
        pid = client.info("server")["process_id"]
        try:
            assert pidfile.read_text() == f"{pid}\n"
            # It leads a session of its own.
            assert os.getsid(pid) == pid
            client.set("k", "v")
            client.shutdown()
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), seconds=30)
            assert not pidfile.exists()
        finally:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "saved"),
    [({}, True), ({"nosave": True}, False), ({"save": True}, True), ({"now": True, "force": True}, True)],
)
def test_a_shutdown_saves_what_it_should(make_server, options, saved):
    # Without a log, and with save points.
    server = make_server(appendonly="no", save="3600 1")
    server.client().set("k", "v")
    server.expected_down = True
    # Tried again, it would be told so by a server that is gone.
    server.client(retry=no_retry()).shutdown(**options)
    assert server.process.wait(30) == 0
    server.process = None
    server.close_clients()
    server.restart()
    assert server.client().get("k") == (b"v" if saved else None)
