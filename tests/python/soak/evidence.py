"""What became of each task that a queue took: it ran, or it is in the files that a killed server leaves, at each of its deaths.

Libraries that fetch a task with one command and note in a second one that they have it (Celery's transport, Huey) lose it, on any server,
if either side is killed between the two. Such a task is not the server's loss: the log shows that it was taken. It is told apart by that
the task was in the files of the dead server, and that the end of the log holds a pop of its queue.
"""

import re
import threading
from pathlib import Path

# `soak-KIND-NUMBER` is task id, job id or argument, and as such is plain text in the files (the base is not compressed).
ENTRY = re.compile(rb"soak-([a-z]+)-(\d{8})")
TAIL_BYTES = 64 * 1024
# A task is taken soon after it was sent, a scheduled one soon after its time.
SOON_SECONDS = 15


def entry(kind, number):
    return f"soak-{kind}-{number:08}"


class Evidence:
    """The tasks under way, and the deaths that they went through."""

    def __init__(self, world):
        self.world = world
        self.lock = threading.Lock()
        # Acknowledged and not known to be done: entry → when.
        self.open = {}
        # Done: those that nobody asked for yet, too.
        self.done = set()
        self.in_ledger = 0
        self.ledger_at = 0
        self.acknowledged = {}
        self.explained = {}
        # The same one by one: name, when it was acknowledged, the reason.
        self.handed_over = []
        self.deaths = []
        # (kind, when) of workers that were killed.
        self.worker_deaths = []
        # For queues with a gap: the pattern of a pop in the log.
        self.pops = {}

    def took(self, task, kind):
        """The server has acknowledged it."""
        with self.lock:
            self.open[task] = self.world.seconds()
            self.acknowledged[kind] = self.acknowledged.get(kind, 0) + 1

    def is_done(self, task):
        with self.lock:
            self.done.add(task)

    def settle(self):
        """Reads on in the ledger, and forgets what is both acknowledged and done."""
        with open(self.world.ledger, "rb") as ledger:
            ledger.seek(self.ledger_at)
            found = ledger.read()
        # The last line may be unfinished.
        found = found[: found.rfind(b"\n") + 1]
        with self.lock:
            self.ledger_at += len(found)
            for match in ENTRY.finditer(found):
                self.done.add(match.group().decode())
                self.in_ledger += 1
            for task in self.done & self.open.keys():
                del self.open[task]
                self.done.discard(task)
            return dict(self.open)

    def after_death(self, directory, second):
        """The server is dead since `second`, and not started yet: what was acknowledged and has not run must be in its files."""
        before = self.settle()
        in_files, tail = read_files(directory)
        open_now = self.settle()
        popped = {kind: bool(pattern.search(tail)) for kind, pattern in self.pops.items()}
        self.deaths.append((second, popped))
        for task, since in before.items():
            if task in in_files or task not in open_now:
                continue
            if self.explanation(task, since) is None:
                self.world.problem("durability", f"{task}, acknowledged {second - since:.2f} s before, is not in the log of the dead server")
                with self.lock:
                    self.open.pop(task, None)

    def explanation(self, task, since):
        """Why a task that did not run is nobody's loss but its library's; `None` if it is not."""
        kind = task.split("-")[1]
        if kind not in self.pops:
            return None
        for second, popped in self.deaths:
            if since <= second + 1 and second <= since + SOON_SECONDS and popped[kind]:
                return "the server was killed while it was handed over"
        for other, second in self.worker_deaths:
            if other == kind and since <= second + 1 and second <= since + SOON_SECONDS:
                return "its worker was killed while it was handed over"
        return None

    def judge(self):
        """At the end: each task that is still open is explained, or a problem."""
        for task, since in sorted(self.settle().items()):
            why = self.explanation(task, since)
            if why is None:
                self.world.problem("queues", f"{task}, acknowledged at {since:.1f} s, did not run")
            else:
                kind = task.split("-")[1]
                reasons = self.explained.setdefault(kind, {})
                reasons[why] = reasons.get(why, 0) + 1
                self.handed_over.append({"task": task, "acknowledged": round(since, 2), "why": why})


def read_files(directory):
    """The tasks named in the log's files, and the end of the last one."""
    folder = Path(directory) / "appendonlydir"
    # What is only history is not loaded, and may be removed already.
    names = re.findall(r"^file (\S+) seq \d+ type [bi]", (folder / "appendonly.aof.manifest").read_text(), re.MULTILINE)
    found, tail = set(), b""
    for name in names:
        content = (folder / name).read_bytes()
        found.update(match.group().decode() for match in ENTRY.finditer(content))
        tail = content.rstrip(b"# \r\n")[-TAIL_BYTES:] or tail
    return found, tail
