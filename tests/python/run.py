#!/usr/bin/env python3
"""Runs the end-to-end tests: makes a virtual environment for them, and hands all arguments to pytest.

    tests/python/run.py                     all of them, against what cargo built (release before debug)
    tests/python/run.py -k session -x       pytest's own arguments
    tests/python/run.py --hiredis           redis-py with the hiredis parser
    DJR_SERVER=/usr/bin/redis-server tests/python/run.py

Needs Python 3.11 or newer with the standard library only. The exit status is pytest's; 1 also if a process was left behind, 124 if
the whole run took longer than DJR_TEST_DEADLINE seconds (900).
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
DEADLINE = float(os.environ.get("DJR_TEST_DEADLINE", 900))


def environment(requirements):
    """The Python of a virtual environment that has `requirements`; made if there is none yet."""
    key = hashlib.sha256(sys.version.encode())
    for path in sorted(HERE.glob("requirements*.txt")):
        key.update(path.read_bytes())
    home = TARGET / "python-venv" / f"{requirements.stem}-{key.hexdigest()[:12]}"
    python, complete = home / "bin" / "python", home / "complete"
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / ".lock").open("w") as lock:
        # Two runs at the same time would build the same environment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            print(f"making a virtual environment in {home}", flush=True)
            shutil.rmtree(home, ignore_errors=True)
            try:
                subprocess.run([sys.executable, "-m", "venv", home], check=True)
                pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                subprocess.run([*pip, "-r", requirements], check=True)
            except subprocess.CalledProcessError as error:
                shutil.rmtree(home, ignore_errors=True)
                raise SystemExit(f"could not make it: {error}\n(on Debian, venv is in the package python3-venv)") from None
            complete.touch()
    return python


def run(command, environ):
    """Runs the tests in a process group of its own and returns its exit status; nothing of the group outlives it."""
    process = subprocess.Popen(command, cwd=HERE, env=environ, start_new_session=True)
    status = None
    try:
        status = wait(process, DEADLINE)
        if status is None:
            print(f"run.py: not done after {DEADLINE:.0f} s", file=sys.stderr)
            interrupt(process)
    except KeyboardInterrupt:
        interrupt(process)
        raise
    finally:
        # pytest itself is not reaped yet, so its number can't belong to anybody else.
        left = leftovers(process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status is None:
        return 124
    if left:
        print("run.py: left behind, and ended now: " + ", ".join(left), file=sys.stderr)
        return status or 1
    return status


def wait(process, seconds):
    """The exit status of the process, without reaping it; None after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            return ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
        time.sleep(0.05)
    return None


def interrupt(process):
    """Asks pytest to stop, as Ctrl-C does, and gives it time to end its servers."""
    process.send_signal(signal.SIGINT)
    wait(process, 20)


def leftovers(group):
    """The processes of the group besides its leader, as text (Linux; elsewhere none are seen)."""
    for _ in range(20):
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            # pid (name) state parent group …; the name may hold anything.
            name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
            pid = int(stat.parent.name)
            if int(fields[2]) == group and pid != group and fields[0] != "Z":
                found.append(f"{name} ({pid})")
        if not found:
            return []
        time.sleep(0.05)
    return found


def stop(*_):
    raise KeyboardInterrupt


def stop_on_signals():
    """A stop by SIGTERM must not leave servers either; and a shell's background job starts with SIGINT ignored, which pytest
    would inherit."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def environ(scratch):
    """The environment of the tests' process."""
    found = os.environ | {"TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"}
    # A relative name is meant from where we were called.
    if server := found.get("DJR_SERVER"):
        found["DJR_SERVER"] = os.path.abspath(server)
    # What the caller's shell is set up for is none of the tests' business.
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE"):
        found.pop(name, None)
    return found


def main(arguments):
    if sys.version_info < (3, 11):
        raise SystemExit("needs Python 3.11 or newer")
    requirements = HERE / "requirements.txt"
    if "--hiredis" in arguments:
        arguments.remove("--hiredis")
        requirements = HERE / "requirements-hiredis.txt"
    python = environment(requirements)
    stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="djr-tests-", ignore_cleanup_errors=True) as scratch:
        try:
            return run([python, "-m", "pytest", *arguments], environ(scratch))
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
