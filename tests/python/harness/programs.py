"""Programs that the tests start beside the server: workers, schedulers, consumers."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.server import die_with_parent
from harness.waiting import wait_until

TESTS = Path(__file__).resolve().parents[1]
START_SECONDS = 40
STOP_SECONDS = 20


class Program:
    """A process, what it says, and its end together with everything that it started.

    `arguments` follow the Python of the test run, or another `runtime`; `environ` adds to the environment. Like a server, it is started from the
    main thread.
    """

    def __init__(self, log, arguments, *, environ=None, runtime=sys.executable):
        self.log = Path(log)
        self.process = None
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [runtime, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=TESTS,
                env=os.environ | {"PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1"} | (environ or {}),
                preexec_fn=die_with_parent,
            )

    def said(self):
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, *texts, seconds=START_SECONDS):
        """Waits until it has written each of `texts`; fails if it ends before."""

        def complete():
            said = self.said()
            if all(text in said for text in texts):
                return True
            assert self.process.poll() is None, f"ended before it said {texts}:\n{self.tail()}"
            return False

        try:
            wait_until(complete, seconds=seconds, what=f"{texts} in {self.log.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None
        return self

    def wait(self, seconds=STOP_SECONDS):
        """Waits for it to end by itself, and returns the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.tail()}") from None

    def terminate(self, seconds=STOP_SECONDS):
        """SIGTERM, and the exit status of the clean end that must follow."""
        self.process.terminate()
        return self.wait(seconds)

    def kill9(self):
        """SIGKILL to it and to all that it started, as when a machine runs out of memory."""
        family = []
        if self.process.poll() is None:
            # Stopped, it can't start another one while we look.
            self.process.send_signal(signal.SIGSTOP)
            family = descendants(self.process.pid)
        self.process.kill()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def close(self):
        """Ends it, if it has not ended."""
        self.kill9()

    def tail(self, lines=60):
        """The last lines of what it said."""
        return "\n".join(self.said().splitlines()[-lines:])


def descendants(pid):
    """The processes that this one started, and those that they started (Linux; elsewhere none are seen)."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        # pid (name) state parent …; the name may hold anything.
        parent = int(text[text.rindex(")") + 2 :].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


class Ledger:
    """A file that tasks write a line into when they run: what the server forgets, it knows."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.touch()

    def lines(self):
        return self.path.read_text().split()

    def count(self, entry):
        return self.lines().count(entry)
