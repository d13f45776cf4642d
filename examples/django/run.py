#!/usr/bin/env python3
"""Runs the shop: a djr-server of its own, the site, a Celery worker and beat. Ctrl-C ends all of them.

    examples/django/run.py                        makes a virtual environment, then serves http://127.0.0.1:8000
    examples/django/run.py --server PATH          with this djr-server, redis-server or valkey-server
    examples/django/run.py --url redis://host:6379    with one that runs already
    examples/django/run.py --no-venv              with the Python that runs this, and what is installed there

The server may be killed at any time (`kill -9`); as systemd would, this brings it back, on the same data. Needs Python 3.11 or newer.
"""

import argparse
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="of the site; 0 for any that is free")
    parser.add_argument("--redis-port", type=int, default=0, help="of the server; any that is free")
    parser.add_argument("--server", help="the program; default: djr-server from the PATH, or what cargo built")
    parser.add_argument("--url", help="a server that runs already, instead of one of its own")
    parser.add_argument("--data", type=Path, default=HERE / "data", help="where database and log are kept")
    parser.add_argument("--no-venv", action="store_true", help="use this Python as it is")
    return parser.parse_args()


def environment():
    """The Python of a virtual environment with what requirements.txt lists; made if it is not there, or older than the list."""
    home, wanted = HERE / ".venv", HERE / "requirements.txt"
    python, installed = home / "bin" / "python", home / "requirements.txt"
    if not installed.exists() or installed.read_text() != wanted.read_text():
        print(f"making a virtual environment in {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], check=True)
        shutil.copy(wanted, installed)
    return str(python)


def server_program(chosen):
    """The server to start."""
    built = [str(TARGET / profile / "djr-server") for profile in ("release", "debug")]
    for name in [chosen] if chosen else [os.environ.get("DJR_SERVER"), "djr-server", *built]:
        if name and (path := shutil.which(name)):
            return path
    raise SystemExit("no djr-server: `pip install djr`, or `cargo build --release`, or say where with --server")


def free_port():
    """A port that nobody listens on, and below those that the kernel gives to clients: one of them could sit on it at a restart."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("no free port")


def end_with_parent():
    """Runs in a child before its program: should this be killed, nothing is left behind (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Shop:
    """The processes, each started again if it ends, until `stop`."""

    def __init__(self, options):
        self.python = sys.executable if options.no_venv else environment()
        self.data = options.data.resolve()
        self.data.mkdir(parents=True, exist_ok=True)
        self.site_port = options.port or free_port()
        self.commands = {}
        self.running = {}
        url = options.url
        if not url:
            port = options.redis_port or free_port()
            url = f"redis://127.0.0.1:{port}"
            program = server_program(options.server)
            self.commands["server"] = [program, *self.server_options(program), "--port", str(port), "--dir", str(self.data)]
        self.environ = os.environ | {
            "SHOP_REDIS": url.rstrip("/"),
            "SHOP_DATA": str(self.data),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        celery = [self.python, "-m", "celery", "--app", "config"]
        schedule = str(self.data / "beat-schedule")
        self.commands |= {
            "site": [self.python, "manage.py", "runserver", "--noreload", f"127.0.0.1:{self.site_port}"],
            "worker": [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO"],
            "beat": [*celery, "beat", "--schedule", schedule, "--loglevel", "WARNING"],
        }

    @staticmethod
    def server_options(program):
        """The configuration file; other servers don't know memory classes, and keep everything."""
        if Path(program).name.startswith("djr"):
            return [str(HERE / "djr.conf")]
        return ["--appendonly", "yes", "--save", ""]

    def start(self, name):
        # A group of its own: Ctrl-C on the terminal is for us, who end them one after the other.
        process = subprocess.Popen(
            self.commands[name], cwd=HERE, env=self.environ, process_group=0, preexec_fn=end_with_parent
        )
        self.running[name] = process
        print(f"run.py: {name} started, process {process.pid}", flush=True)

    def manage(self, *words):
        subprocess.run([self.python, "manage.py", *words], cwd=HERE, env=self.environ, check=True)

    def run(self):
        self.manage("migrate", "--verbosity", "0")
        self.manage("demo")
        for name in self.commands:
            self.start(name)
        address = f"http://127.0.0.1:{self.site_port}/"
        self.wait_for(address)
        print(f"run.py: the shop is open: {address} (log in as ada, password engine)", flush=True)
        while True:
            self.look_after()
            time.sleep(0.1)

    def look_after(self):
        """Starts again what has ended."""
        for name, process in list(self.running.items()):
            status = process.poll()
            if status is not None:
                how = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
                print(f"run.py: {name} was {how}; it is started again", flush=True)
                # Not faster than this, should it end at once each time.
                time.sleep(0.5)
                self.start(name)

    def wait_for(self, address):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.look_after()
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(address, timeout=20).close()
                return
            time.sleep(0.1)
        raise SystemExit("the site does not answer")

    def stop(self):
        """Ends the worker before the server, so that it can acknowledge what it has done."""
        for name in ("beat", "worker", "site", "server"):
            process = self.running.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    if sys.version_info < (3, 11):
        raise SystemExit("needs Python 3.11 or newer")
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    shop = Shop(arguments())
    try:
        shop.run()
    except KeyboardInterrupt:
        print("run.py: closing", flush=True)
    finally:
        shop.stop()


if __name__ == "__main__":
    main()
