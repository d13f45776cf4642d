"""The server under test, as a process: started, killed, stopped and started again on the same directory."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

REPOSITORY = Path(__file__).resolve().parents[3]
START_SECONDS = 30
STOP_SECONDS = 30


def binary():
    """The server to test: `DJR_SERVER`, else what cargo built, release before debug."""
    chosen = os.environ.get("DJR_SERVER")
    if chosen:
        return chosen
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    for profile in ("release", "debug"):
        path = target / profile / "djr-server"
        if path.is_file():
            return str(path)
    raise RuntimeError("no server to test: run `cargo build --release -p djr-server`, or name one in DJR_SERVER")


def no_retry():
    """A retry policy that reports the first error: a command is sent once or its outcome is unknown."""
    return Retry(NoBackoff(), 0)


def free_port():
    """A port nobody listens on, outside the range from which the kernel takes source ports.

    Inside that range a client that tries to reach a server which is down can end up connected to itself,
    and then holds the port that the server needs to come back.
    """
    low, high = 20_000, 32_000
    try:
        ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        ephemeral = 32_768
    if ephemeral <= high:
        low, high = 10_000, max(ephemeral, 10_100)
    for _ in range(200):
        port = random.SystemRandom().randrange(low, high)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {low} and {high}")


def die_with_parent():
    """Runs in the child before exec: a test run that is killed takes its servers with it (Linux only)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Server:
    """One server process and its data directory.

    `directives` are given on the command line as `--name value`, with underscores written as dashes; a list is given line by
    line. Start it from the main thread: the kernel ends a child whose starting thread ends.
    """

    def __init__(self, home, *, appendfsync="everysec", password=None, unixsocket=None, **directives):
        self.home = Path(home)
        self.dir = self.home / "data"
        self.dir.mkdir(parents=True)
        self.log = self.home / "server.log"
        self.port = None
        self.appendfsync = appendfsync
        self.password = password
        self.unixsocket = unixsocket
        self.directives = directives
        self.process = None
        self.expected_down = True
        self._clients = []
        self._server_info = None

    # Life and death

    def start(self):
        if self.process is not None:
            raise RuntimeError("already running")
        attempts = 1 if self.port else 5
        for attempt in range(attempts):
            port = self.port or free_port()
            if self._try_start(port):
                self.port = port
                self.expected_down = False
                return self
            # Only a first start may choose another port; the clients know the one of a restart.
            if "ddress already in use" not in self.log_tail() or attempt + 1 == attempts:
                break
        raise RuntimeError(f"{binary()} did not start:\n{self.log_tail()}")

    def _try_start(self, port):
        command = [binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.dir)]
        command += ["--appendonly", "yes", "--appendfsync", self.appendfsync, "--save", ""]
        if self.password:
            command += ["--requirepass", self.password]
        if self.unixsocket:
            command += ["--unixsocket", str(self.unixsocket)]
        for name, values in self.directives.items():
            for value in values if isinstance(values, list) else [values]:
                command += ["--" + name.replace("_", "-"), str(value)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.answers(port):
                return True
            time.sleep(0.01)
        self.process.kill()
        self.process.wait()
        self.process = None
        return False

    @staticmethod
    def answers(port):
        """Whether PING gets an answer that means «ready»: not a refused connection, not -LOADING."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def kill9(self):
        """SIGKILL: no handler runs, nothing is flushed by the process."""
        self.expected_down = True
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        self.process = None

    def terminate(self):
        """SIGTERM, and the exit status of the clean stop that must follow."""
        self.expected_down = True
        self.process.terminate()
        status = self.process.wait(STOP_SECONDS)
        self.process = None
        return status

    def restart(self):
        """Starts again on the same port and directory, after `kill9` or `terminate`."""
        self.expected_down = True
        return self.start()

    def close(self):
        """Ends it whatever its state; returns False if it had died by itself."""
        self.close_clients()
        alive = True
        if self.process is not None:
            alive = self.process.poll() is None or self.expected_down
            self.process.kill()
            self.process.wait()
            self.process = None
        return alive

    # Talking to it

    def url(self, db=0, **query):
        """The address as a Django project writes it; `query` as redis-py takes it (`protocol=2`)."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        tail = "?" + urlencode(query) if query else ""
        return f"redis://{login}127.0.0.1:{self.port}/{db}{tail}"

    def client(self, db=0, **options):
        """A redis-py client, closed at the end of the test."""
        client = redis.Redis(host="127.0.0.1", port=self.port, db=db, **{"password": self.password, **options})
        self._clients.append(client)
        return client

    def close_clients(self):
        """Closes what `client` made."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def connect(self):
        """A bare socket, for bytes that no client library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def flush(self):
        """Empties every db."""
        with redis.Redis(host="127.0.0.1", port=self.port, password=self.password) as client:
            client.flushall()

    def files_size(self):
        """Bytes in all files of the data directory."""
        total = 0
        for path in self.dir.rglob("*"):
            # A rewrite removes files while we look.
            try:
                if path.is_file():
                    total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    # What it is

    def _info(self):
        if self._server_info is None:
            with redis.Redis(host="127.0.0.1", port=self.port, password=self.password) as client:
                self._server_info = client.info("server")
        return self._server_info

    @property
    def is_djr(self):
        return self._info().get("server_name") == "djr"

    def has(self, *, redis_since=None, valkey_since=None):
        """Whether it has what Redis or Valkey have since these versions, given as tuples; DJR has all of it."""
        if self.is_djr:
            return True
        info = self._info()
        # Valkey gives a Redis version too, the one that it stayed compatible with.
        name, since = ("valkey_version", valkey_since) if "valkey_version" in info else ("redis_version", redis_since)
        return since is not None and tuple(int(part) for part in info[name].split(".")[:3]) >= since

    def log_tail(self, lines=40):
        """The last lines of what the server said."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
