#!/usr/bin/env python3
"""Runs the test-suites of client libraries themselves against the server, by hand: they take minutes, and want port 6379.

    tests/python/suites.py redis kombu          these, against what cargo built (release before debug)
    tests/python/suites.py                      all of them
    DJR_SERVER=/usr/bin/redis-server tests/python/suites.py redis

Each is what the library's source archive holds, of the version that requirements.txt pins. What a real server fails too (sentinels, clusters,
modules, TLS are not there) is no fault of ours: run a suite against both, and compare the lists of failures at their ends.
Archives and environments are kept in target/python-suites/.
"""

import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
HOME = TARGET / "python-suites"
PYTEST = "pytest pytest-asyncio pytest-mock pytest-timeout"

# Package, what its tests need beside it, pytest's arguments.
SUITES = {
    "redis": (
        "redis",
        "numpy ujson pybreaker aiohttp cryptography requests PyJWT redis-entraid opentelemetry-api opentelemetry-sdk",
        "tests -m 'not onlycluster and not redismod and not ssl and not replica and not cp_integration and not multidb_integration'"
        " --ignore tests/test_scenario --ignore tests/test_multidb --ignore tests/test_observability",
    ),
    "django-redis": ("django-redis", "pytest-django pytest-xdist lz4 msgpack pyzstd", "tests -k 'not sentinel'"),
    "kombu": ("kombu", "pytest-freezer pytest-rerunfailures hypothesis Pyro4", "t/integration/test_redis.py -k 'not entinel'"),
    "channels": ("channels_redis", "async-timeout cryptography", "tests -k 'not sentinel' -o asyncio_mode=auto"),
    "rq": ("rq", "psutil sentry-sdk", "tests"),
    "huey": ("huey", "", "huey/tests/test_storage.py huey/tests/test_api.py huey/tests/test_priority.py huey/tests/test_asyncio.py"),
}


def pinned(package):
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if line.lower().startswith(f"{package.lower()}=="):
            return line
    raise SystemExit(f"{package} is not pinned")


def environment(name, package, needs):
    """The directory of the library's source, and a Python that has what its tests need; made if there is none yet."""
    home = HOME / pinned(package).replace("==", "-")
    python = home / "venv" / "bin" / "python"
    if not (home / "complete").exists():
        print(f"── preparing {name} in {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-r", HERE / "requirements.txt", *PYTEST.split(), *needs.split()], check=True)
        subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", home, pinned(package)], check=True)
        (archive,) = home.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(home / "source", filter="data")
        (home / "complete").touch()
    (source,) = (home / "source").iterdir()
    return source, python


def server():
    built = [TARGET / profile / "djr-server" for profile in ("release", "debug")]
    found = [path for path in [os.environ.get("DJR_SERVER"), *built] if path and Path(path).is_file()]
    return found[0] if found else sys.exit("no server to test: run `cargo build --release -p djr-server`")


def run(name):
    package, needs, arguments = SUITES[name]
    source, python = environment(name, package, needs)
    with tempfile.TemporaryDirectory(prefix="djr-suite-") as scratch:
        options = ["--port", "6379", "--dir", scratch, "--save", "", "--enable-debug-command", "yes"]
        process = subprocess.Popen([server(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # The suites themselves wait for nothing.
            time.sleep(1)
            if process.poll() is not None:
                raise SystemExit("the server ended: is port 6379 free?")
            print(f"── {name} against {server()}", flush=True)
            pytest = [python, "-m", "pytest", "-q", "--tb=line", "-rfE", "--timeout", "60", "-p", "no:cacheprovider"]
            environ = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
            return subprocess.run([*pytest, *shlex.split(arguments)], cwd=source, env=environ).returncode
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(SUITES)
    if unknown := set(chosen) - set(SUITES):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    sys.exit(max([run(name) for name in chosen]))
