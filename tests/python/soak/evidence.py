"""What became of each task that a queue took: it ran, or it is in the data that a killed server leaves, at each of its deaths.

Libraries that fetch a task with one command and note in a second one that they have it (Celery's transport), or note nothing (Huey), lose it on
any server if either side is killed between the two. How many tasks that can be is known exactly: as many as the dead server's log has pops at
its end with no note behind them, and as many as the consumers of a worker that died. A life of the server in which more are lost is a problem.
"""

import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from harness.server import Server

# `soak-KIND-NUMBER` is task id, job id or argument, and as such is plain text in the files (nothing is compressed).
ENTRY = re.compile(rb"soak-([a-z]+)-(\d{8})")
TAIL_BYTES = 256 * 1024
# A worker that ended is noticed so much later.
NOTICED_SECONDS = 1


def entry(kind, number):
    return f"soak-{kind}-{number:08}"


@dataclass
class Gap:
    """A library's way to hand tasks over that can lose some: tasks of these kinds, fetched by the workers named `worker`."""

    worker: str
    kinds: tuple
    # So many fetch at the same time, each one task at a time.
    consumers: int
    # In the log: a task is fetched; it is noted that it was. Without a note it has to have run.
    pop: re.Pattern
    note: re.Pattern | None = None

    def in_flight(self, log):
        """How many tasks were being handed over when the log ended."""
        noted = 0
        if self.note is not None:
            noted = max((match.end() for match in self.note.finditer(log)), default=0)
        return min(self.consumers, len(self.pop.findall(log, noted)))


@dataclass
class Life:
    """One of the server's."""

    end: float
    # Per gap: what was being handed over when it ended, and whether a worker died in it.
    in_flight: list
    worker_deaths: list
    # When each worker ended that is counted, or nearly was.
    worker_ends: list
    # What its log says of the tasks that were missing first when it ended.
    told: dict


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
        self.lives = []
        # Neither done nor in the data: entry → the life in which it went.
        self.gone = {}
        # (kind, when) of workers that were killed or ended.
        self.worker_deaths = []
        self.gaps = []

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
        """The server is dead since `second`, and not started yet: what was acknowledged and has not run must be in its data."""
        before = self.settle()
        names, log = read_data(Path(directory)), log_tail(Path(directory))
        open_now = self.settle()
        began = self.lives[-1].end if self.lives else 0
        dead = [kind for kind, when in self.worker_deaths if began < when <= second + NOTICED_SECONDS]
        ends = [(kind, round(when, 2)) for kind, when in self.worker_deaths if began - 5 < when]
        life = Life(second, [gap.in_flight(log) for gap in self.gaps], [dead.count(gap.worker) for gap in self.gaps], ends, {})
        self.lives.append(life)
        for task, since in before.items():
            if task in names or task not in open_now:
                self.gone.pop(task, None)
            elif self.gap_of(task) is None:
                self.world.problem("durability", f"{task}, acknowledged {second - since:.2f} s before, is not in the data of the dead server")
                with self.lock:
                    self.open.pop(task, None)
            else:
                if task not in self.gone:
                    life.told[task] = mentions(Path(directory), task)
                self.gone.setdefault(task, life)

    def gap_of(self, task):
        """The index of the gap that a task may fall into; `None` if there is none for its kind."""
        kind = task.split("-")[1]
        return next((index for index, gap in enumerate(self.gaps) if kind in gap.kinds), None)

    def reasons(self, number, index):
        """Why tasks may be gone in a life: so many of a gap at most."""
        life = self.lives[number]
        deaths = life.worker_deaths[index] * self.gaps[index].consumers
        return ["the server was killed while it was handed over"] * life.in_flight[index] + [
            "its worker was killed while it was handed over"
        ] * deaths

    def awaited(self):
        """The tasks that have to run yet: those that went may as well be with a worker."""
        return [task for task in self.settle() if task not in self.gone]

    def judge(self):
        """After the last death: each task that is still open was lost by its library, or is a problem."""
        lost = {}
        for task, since in sorted(self.settle().items()):
            life = self.gone.get(task)
            if life is None:
                self.world.problem("queues", f"{task}, acknowledged at {since:.1f} s, did not run")
            else:
                lost.setdefault((self.lives.index(life), self.gap_of(task)), []).append((task, since))
        reasons = {(number, index): self.reasons(number, index) for number in range(len(self.lives)) for index in range(len(self.gaps))}
        for (number, index), tasks in sorted(lost.items()):
            life = self.lives[number]
            for task, since in tasks:
                kind = task.split("-")[1]
                # One that was acknowledged as the life before ended was looked for first when this one did.
                is_older = number > 0 and since <= self.lives[number - 1].end + NOTICED_SECONDS
                of_life = [reasons[number, index], *([reasons[number - 1, index]] if is_older else [])]
                left = next((some for some in of_life if some), None)
                if left is None:
                    self.world.problem(
                        "durability",
                        f"{task}, acknowledged at {since:.2f} s, did not run and was not in the data of the server that died at {life.end:.2f} s: "
                        f"{life.in_flight[index]} tasks were being handed over then, {life.worker_deaths[index]} workers had died, {len(tasks)} tasks are gone; "
                        f"ends of workers: {life.worker_ends}; in the log: {life.told.get(task)}",
                    )
                    continue
                why = left.pop(0)
                explained = self.explained.setdefault(kind, {})
                explained[why] = explained.get(why, 0) + 1
                self.handed_over.append({"task": task, "acknowledged": round(since, 2), "gone": round(life.end, 2), "why": why})


def manifest(folder):
    """The files that are loaded, in order: what is only history is not, and may be removed already."""
    return re.findall(r"^file (\S+) seq \d+ type [bi]", (folder / "appendonly.aof.manifest").read_text(), re.MULTILINE)


def read_data(directory):
    """The tasks named in what a server makes of the files: another one loads a copy of them, and writes all of it into one file."""
    home = directory.parent / "reader"
    reader = Server(home, rdbcompression="no")
    try:
        shutil.copytree(directory / "appendonlydir", reader.dir / "appendonlydir")
        reader.start()
        reader.client().save()
        return {match.group().decode() for match in ENTRY.finditer((reader.dir / "dump.rdb").read_bytes())}
    finally:
        reader.close()
        shutil.rmtree(home)


def mentions(directory, task):
    """The commands of the log that name a task, and those around the first of them: how long ago they were written, in bytes from the end."""
    folder = directory / "appendonlydir"
    found = []
    for name in manifest(folder):
        if not name.endswith(".incr.aof"):
            continue
        log = (folder / name).read_bytes()
        for match in re.finditer(rb"(?<=\n)\*\d+\r\n(?:\$\d+\r\n[^*]*?)(?=\*\d+\r\n|#|\Z)", log):
            if task.encode() in match.group():
                words = re.findall(rb"\$\d+\r\n([^\r]*)\r\n", match.group())
                shown = b" ".join(word[:50] for word in words[:4]).decode(errors="replace")
                found.append(f"{name} -{len(log) - match.start()}: {shown}")
    return found


def log_tail(directory):
    """The end of the log."""
    folder = directory / "appendonlydir"
    tail = b""
    # A file that was begun just then is short.
    for name in manifest(folder)[-2:]:
        if name.endswith(".incr.aof"):
            tail += (folder / name).read_bytes().rstrip(b"# \r\n")
    return tail[-TAIL_BYTES:]
