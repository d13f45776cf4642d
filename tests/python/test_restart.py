"""Clean stops, many restarts, and a log that does not grow without bound."""

import random
import signal

import pytest

from harness.server import no_retry
from harness.waiting import wait_until


@pytest.fixture(params=["always", "everysec", "no"])
def policy(request):
    return request.param


def test_sigterm_is_a_clean_stop_that_keeps_everything(make_server, policy):
    server = make_server(appendfsync=policy)
    client = server.client(1)
    client.mset({f"k{number}": random.Random(number).randbytes(number) for number in range(1000)})
    client.set("mortal", "v", px=3_600_000)
    when = client.pexpiretime("mortal")
    # Right behind the last reply: there is nothing that a clean stop may leave behind.
    client.set("last", "word")
    assert server.terminate() == 0
    server.restart()
    assert client.dbsize() == 1002
    assert client.get("k999") == random.Random(999).randbytes(999)
    assert client.pexpiretime("mortal") == when
    assert client.get("last") == b"word"


def test_sigint_is_a_clean_stop_too(make_server):
    server = make_server()
    client = server.client()
    client.set("k", "v")
    server.expected_down = True
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(30) == 0
    server.process = None
    server.restart()
    assert client.get("k") == b"v"


@pytest.mark.parametrize("points, words, is_saved", [("", "save", True), ("3600 1", "nosave now", False), ("3600 1", "default", True)])
def test_what_a_signal_does_about_a_snapshot(make_server, points, words, is_saved):
    server = make_server(appendonly="no", save=points, **{"shutdown-on-sigterm": words})
    server.client().set("k", "v")
    assert server.terminate() == 0
    assert (server.dir / "dump.rdb").exists() == is_saved


def test_a_signal_does_not_end_a_server_that_can_not_save(make_server):
    server = make_server(appendonly="no", save="3600 1")
    client = server.client()
    client.set("k", "v")
    # The new file can't take the name of a directory.
    (server.dir / "dump.rdb" / "in the way").mkdir(parents=True)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Errors trying to shut down the server" in server.log_tail(), seconds=30)
    assert client.get("k") == b"v"
    client.config_set("shutdown-on-sigterm", "force")
    assert server.terminate() == 0


def test_shutdown_command(make_server):
    server = make_server()
    client = server.client()
    client.set("k", "v")
    server.expected_down = True
    # Without retries, because redis-py would knock on the closed door for seconds before it believes.
    server.client(retry=no_retry()).shutdown()
    assert server.process.wait(30) == 0
    server.process = None
    server.restart()
    assert client.get("k") == b"v"


def test_many_restarts(make_server):
    server = make_server(appendfsync="always")
    client = server.client()
    for number in range(1, 13):
        client.set(f"k{number}", number)
        client.incr("restarts")
        client.append("log", f"{number},")
        if number % 3:
            server.kill9()
        else:
            assert server.terminate() == 0
        server.restart()
        assert int(client.get("restarts")) == number
        assert client.dbsize() == number + 2
    assert client.get("log") == b"1,2,3,4,5,6,7,8,9,10,11,12,"


def test_restarting_alone_does_not_grow_the_files(make_server):
    server = make_server(appendfsync="always")
    client = server.client()
    client.mset({f"k{number}": "v" * 1000 for number in range(500)})
    assert server.terminate() == 0
    size = server.files_size()
    for _ in range(5):
        server.restart()
        assert client.dbsize() == 500
        assert server.terminate() == 0
    assert server.files_size() < size + 64 * 1024


def test_the_log_is_rewritten_when_it_has_grown(make_server):
    server = make_server(auto_aof_rewrite_percentage=100, auto_aof_rewrite_min_size=1_000_000)
    client = server.client()
    written = 0
    number = 0
    values = {f"k{n}": bytes([n]) * 10_000 for n in range(20)}

    def grown_and_shrunk():
        # 200 KB of data in all, written over and over.
        nonlocal written, number
        if written < 20_000_000:
            number += 1
            values[f"k{number % 20}"] = random.Random(number).randbytes(10_000)
            client.mset(values)
            written += 200_000
            return False
        return server.files_size() < 5_000_000

    wait_until(grown_and_shrunk, seconds=50, what="a log much smaller than what was written")
    server.kill9()
    server.restart()
    assert client.mget(list(values)) == list(values.values())
    client.set("k0", "after")
    assert server.terminate() == 0
    server.restart()
    assert client.get("k0") == b"after"
