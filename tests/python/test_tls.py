"""TLS: redis-py with certificates that openssl makes, mutual authentication, reload, big replies, and clients that misbehave."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import redis

from harness.server import free_port, no_retry

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, home, name):
        self.home, self.name = home, name
        self.key, self.cert = home / f"{name}.key", home / f"{name}.crt"
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/O=Test/CN={name}", "-keyout", self.key, "-out", self.cert,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
        )

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=self.home)

    def issue(self, name, san="DNS:localhost,IP:127.0.0.1", file=None):
        file = file or name
        key, request, cert = (self.home / f"{file}.{end}" for end in ("key", "csr", "crt"))
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O=Test/CN={name}", "-keyout", key, "-out", request)
        extensions = self.home / f"{file}.ext"
        extensions.write_text(f"subjectAltName={san}\nbasicConstraints=CA:FALSE\n")
        self.openssl(
            "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", cert,
        )
        return cert, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"), "ca")


@pytest.fixture
def tls_server(make_server, authority):
    def make(**options):
        cert, key = authority.issue("localhost", file="server")
        port = free_port()
        directives = {"tls_port": port, "tls_cert_file": cert, "tls_key_file": key, "tls_ca_cert_file": authority.cert}
        directives.update({"tls_auth_clients": "no"} | options)
        server = make_server(**directives)
        server.tls_port = port
        return server

    return make


def client(server, authority, **options):
    options = {"ssl_ca_certs": str(authority.cert), "ssl_cert_reqs": "required", "socket_timeout": 20} | options
    return redis.Redis(host="localhost", port=server.tls_port, ssl=True, retry=no_retry(), **options)


def raw(server, authority, cert=None):
    context = ssl.create_default_context(cafile=str(authority.cert))
    if cert:
        context.load_cert_chain(*map(str, cert))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", server.tls_port), 10), server_hostname="localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_commands_big_values_and_pipelines(tls_server, authority, version):
    server = tls_server()
    with client(server, authority, ssl_min_version=version) as one:
        one.set("k", "v")
        assert one.get("k") == b"v"
        for size in (1, 100, 16_383, 16_384, 16_385, 65_536, 1_000_003, 40_000_000):
            value = os.urandom(1024) * (size // 1024) + b"x" * (size % 1024)
            one.set("big", value)
            assert one.get("big") == value
        pipe = one.pipeline(transaction=False)
        for index in range(20_000):
            pipe.set(f"k{index}", "v" * (index % 300))
            pipe.get(f"k{index}")
        replies = pipe.execute()
        assert replies[1::2] == [b"v" * (index % 300) for index in range(20_000)]
        # Without TLS it is the same server.
        assert server.client().get("k") == b"v"


def test_who_comes_while_data_are_loaded_is_told(tls_server, authority):
    server = tls_server()
    pipe = server.client().pipeline(transaction=False)
    for index in range(20_000):
        pipe.set(f"k{index}", index)
    pipe.execute()
    server.kill9()
    server.directives["key_load_delay"] = 100
    said, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            try:
                with client(server, authority) as one:
                    said.append((one.info("persistence")["loading"], one.get("k7")))
            except redis.BusyLoadingError as error:
                said.append(str(error))
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        server.restart()
        while (0, b"7") not in said:
            time.sleep(0.01)
    finally:
        is_over.set()
        asking.join()
    assert "Redis is loading the dataset in memory" in said


def test_wrong_authorities_are_refused(tls_server, authority, tmp_path):
    other = Authority(tmp_path, "other")
    server = tls_server(tls_auth_clients="yes")
    with pytest.raises(redis.ConnectionError):
        client(server, other, ssl_certfile=None).ping()
    # None, and one of another authority.
    with pytest.raises((redis.ConnectionError, OSError)):
        client(server, authority).ping()
    stranger = other.issue("stranger")
    with pytest.raises((redis.ConnectionError, OSError)):
        client(server, authority, ssl_certfile=str(stranger[0]), ssl_keyfile=str(stranger[1])).ping()
    known = authority.issue("known")
    assert client(server, authority, ssl_certfile=str(known[0]), ssl_keyfile=str(known[1])).ping()


def test_optional_certificates_and_users_by_name(tls_server, authority):
    server = tls_server(tls_auth_clients="optional", tls_auth_clients_user="cn")
    server.client().execute_command("ACL SETUSER", "alice", "on", ">pw", "+@all", "-get", "~*")
    assert client(server, authority).execute_command("ACL WHOAMI") == "default"
    alice = authority.issue("alice")
    with client(server, authority, ssl_certfile=str(alice[0]), ssl_keyfile=str(alice[1])) as one:
        assert one.execute_command("ACL WHOAMI") == "alice"
        with pytest.raises(redis.exceptions.NoPermissionError):
            one.get("k")
    nobody = authority.issue("nobody")
    with client(server, authority, ssl_certfile=str(nobody[0]), ssl_keyfile=str(nobody[1])) as one:
        assert one.execute_command("ACL WHOAMI") == "default"
    assert server.client().info("stats")["acl_access_denied_tls_cert"] >= 1
    server.client().config_set("tls-auth-clients-user", "uri")
    named = authority.issue("x", san="URI:alice,DNS:x", file="uri")
    with client(server, authority, ssl_certfile=str(named[0]), ssl_keyfile=str(named[1])) as one:
        assert one.execute_command("ACL WHOAMI") == "alice"


def test_certificates_are_read_again(tls_server, authority):
    server = tls_server()
    plain = server.client()
    before = client(server, authority)
    assert before.ping()

    def serial():
        with raw(server, authority) as connection:
            return connection.getpeercert()["serialNumber"]

    first = serial()
    authority.issue("localhost", file="server")
    assert serial() == first
    plain.config_set("tls-cert-file", str(authority.home / "server.crt"))
    second = serial()
    assert second != first
    authority.issue("localhost", file="server")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while serial() == second and time.monotonic() < deadline:
        time.sleep(0.05)
    assert serial() != second
    assert before.ping()
    # What can't be used changes nothing.
    third = serial()
    with pytest.raises(redis.ResponseError, match="Unable to update TLS configuration"):
        plain.config_set("tls-cert-file", "/nonexistent")
    with pytest.raises(redis.ResponseError):
        plain.config_set("tls-ciphersuites", "TLS_NOSUCH")
    assert serial() == third
    plain.config_set("tls-protocols", "TLSv1.2")
    with raw(server, authority) as connection:
        assert connection.version() == "TLSv1.2"


def test_publish_and_subscribe(tls_server, authority):
    server = tls_server()
    with client(server, authority) as one, one.pubsub() as subscriber:
        subscriber.subscribe("c")
        assert subscriber.get_message(timeout=5)["type"] == "subscribe"
        for index in range(200):
            server.client().publish("c", f"{index}" * 100)
        for index in range(200):
            assert subscriber.get_message(timeout=5)["data"] == b"%d" % index * 100


def test_blocked_clients_are_served(tls_server, authority):
    server = tls_server()
    one = client(server, authority)
    pusher = threading.Timer(0.2, lambda: server.client().rpush("l", "x"))
    pusher.start()
    assert one.blpop("l", 10) == (b"l", b"x")


def test_those_who_speak_no_tls_or_stop_in_the_middle(tls_server, authority):
    server = tls_server()
    for text in (b"PING\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01\xff\xff", os.urandom(300)):
        with socket.create_connection(("127.0.0.1", server.tls_port), 10) as plain:
            plain.sendall(text)
            plain.shutdown(socket.SHUT_WR)
            assert b"PONG" not in plain.recv(1000)
    # A ClientHello, byte by byte, cut off at any place.
    context = ssl.create_default_context(cafile=str(authority.cert))
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    hello = out.read()
    for length in range(0, len(hello), 37):
        with socket.create_connection(("127.0.0.1", server.tls_port), 10) as plain:
            plain.sendall(hello[:length])
    with socket.create_connection(("127.0.0.1", server.tls_port), 10) as plain:
        plain.sendall(hello)
        # Killed while the server waits for the rest.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert client(server, authority).ping()
    deadline = time.monotonic() + 10
    while server.client().info("clients")["connected_clients"] > 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.client().info("clients")["connected_clients"] <= 3


def test_slow_readers_and_half_closed_connections(tls_server, authority):
    server = tls_server()
    server.client().set("big", b"x" * 3_000_000)
    with raw(server, authority) as slow:
        slow.sendall(b"GET big\r\n" * 5 + b"PING\r\n")
        time.sleep(0.5)
        received = bytearray()
        while not received.endswith(b"+PONG\r\n"):
            received += slow.recv(100_000)
        assert len(received) == 5 * len(b"$3000000\r\n" + b"x" * 3_000_000 + b"\r\n") + len(b"+PONG\r\n")
    # The client says that it is at its end; the replies still come.
    connection = raw(server, authority)
    connection.sendall(b"PING\r\n")
    assert connection.recv(100) == b"+PONG\r\n"
    connection.unwrap().close()


def test_output_limits_count_what_is_sent(tls_server, authority):
    server = tls_server(client_output_buffer_limit="normal 2mb 0 0")
    server.client().set("big", b"x" * 1_000_000)
    with raw(server, authority) as slow:
        slow.sendall(b"GET big\r\n" * 200)
        slow.settimeout(10)
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            time.sleep(0.5)
            total = 0
            while True:
                data = slow.recv(1 << 20)
                total += len(data)
                if not data:
                    raise EOFError
        assert total < 150_000_000
