"""The run: starts everything, kills, lets things settle, looks whether all is there, and returns the report."""

import random
import re
import threading
import time
from pathlib import Path

from django.test import override_settings

from harness.server import Server, binary
from project.caches import configuration

from . import caches, journal, primitives, queues
from .evidence import Evidence
from .memory import Memory
from .world import CONNECTION_ERRORS, World

# Of the server's log: what must never be there. That a crash left a group unfinished is what crashes do.
ALARMING = re.compile(r"panic|damage|assert|corrupt|poison|\berror\b|MISCONF", re.IGNORECASE)


class Chaos:
    """One soak. `seconds` of killing, then a quiet part of `quiet` seconds in which memory must not grow."""

    def __init__(self, home, *, seconds, quiet, seed, interval, node):
        self.home = Path(home)
        self.seconds, self.quiet, self.interval = seconds, quiet, interval
        self.random = random.Random(seed)
        is_djr = "djr" in Path(binary()).name
        directives = {"maxmemory": "1gb", "memory_class": caches.CLASSES} if is_djr else {}
        self.server = Server(
            self.home / "server",
            # The evidence reads task names in the log.
            rdbcompression="no",
            auto_aof_rewrite_min_size="4mb",
            auto_aof_rewrite_percentage=100,
            **directives,
        ).start()
        ledger = self.home / "ledger"
        ledger.touch()
        self.world = World(self.server, ledger, seed)
        self.evidence = Evidence(self.world)
        self.memory = Memory(self.world)
        self.node = node
        self.kills = {"kill -9": 0, "clean stops": 0, "workers": 0}
        self.workers_ended = {}
        self.log_seen = 0

    def run(self):
        django = caches.entries(self.server, configuration)
        with override_settings(CACHES=django, SESSION_CACHE_ALIAS="sessions"):
            try:
                self.start()
                self.memory.start()
                self.rage()
                self.be_quiet()
                self.memory.stop()
                self.settle()
                self.look_again()
            finally:
                self.world.stopping.set()
                self.memory.stop()
                for worker in self.workers:
                    worker.close()
                self.server.close()
        return self

    # Start

    def start(self):
        world, evidence = self.world, self.evidence
        stream_jobs = primitives.StreamJobs(world, "stream")
        hand_over = primitives.HandOver(world, "handover")
        celery = queues.Celery(world, evidence)
        self.rq = queues.Rq(world, evidence)
        self.results = queues.CeleryResults(world, evidence, celery.app)
        self.bullmq = queues.BullMq(world, evidence, self.home) if self.node else None
        self.draining = [stream_jobs, hand_over]
        self.senders = [celery, self.results, self.rq, queues.Huey(world, evidence), queues.Dramatiq(world, evidence)]
        self.loads = [
            *(journal.Journal(world, f"journal{number}") for number in range(3)),
            journal.Big(world, "big"),
            journal.Lifetimes(world, "lifetimes"),
            *(caches.Cache(world, f"cache{number}", "default") for number in range(2)),
            caches.Cache(world, "volatile", "volatile"),
            caches.Kept(world, "kept", "volatile"),
            caches.Sessions(world, "sessions"),
            stream_jobs,
            *stream_jobs.consumers,
            *(primitives.Locks(world, f"lock{number}") for number in range(3)),
            hand_over,
            hand_over.taker,
            primitives.Limits(world, "limits"),
            primitives.Messages(world, "messages"),
            primitives.Channels(world, "channels"),
            primitives.Chores(world, "chores"),
            *self.senders,
        ]
        self.workers = queues.workers(world, self.home, self.node)
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            worker.wait_until_ready()
        for load in self.loads:
            load.start()

    # Killing

    def rage(self):
        end = time.monotonic() + self.seconds
        next_worker = time.monotonic() + self.random.uniform(2, 4) * self.interval
        while time.monotonic() < end:
            self.wait(self.random.uniform(0.5, 1.5) * self.interval)
            if self.random.random() < 0.15:
                self.stop_server()
            else:
                self.kill_server()
            if time.monotonic() > next_worker:
                worker = self.random.choice(self.workers)
                if worker.alive():
                    worker.kill(self.evidence)
                    self.kills["workers"] += 1
                worker.start()
                next_worker = time.monotonic() + self.random.uniform(2, 4) * self.interval
        print(f"   {self.world.seconds():7.1f} s  no more kills; {self.progress()}", flush=True)

    def wait(self, seconds):
        """Looks after workers and server meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.server.process.poll() is not None:
                self.world.problem("server", f"it died by itself:\n{self.server.log_tail(15)}")
                self.server.process = None
                self.server.restart()
            for worker in self.workers:
                if not worker.alive():
                    # A library that gives up when its server is gone; systemd would start it again.
                    self.workers_ended[worker.kind] = self.workers_ended.get(worker.kind, 0) + 1
                    self.evidence.worker_deaths.append((worker.kind, self.world.seconds()))
                    worker.start()
            self.read_log()
            if self.bullmq:
                self.bullmq.read()
            self.evidence.settle()
            time.sleep(0.1)

    def kill_server(self):
        if self.bullmq:
            self.bullmq.read()
        self.memory.pause()
        self.server.kill9()
        self.evidence.after_death(self.server.dir, self.world.seconds())
        self.kills["kill -9"] += 1
        self.come_back()

    def stop_server(self):
        self.memory.pause()
        status = self.server.terminate()
        if status != 0:
            self.world.problem("server", f"a clean stop ended with {status}")
        self.evidence.after_death(self.server.dir, self.world.seconds())
        self.kills["clean stops"] += 1
        self.come_back()

    def come_back(self):
        time.sleep(self.random.choice([0, 0, 0.2, 0.8]))
        self.server.restart()
        self.memory.go_on(self.server.process.pid)
        count = self.kills["kill -9"] + self.kills["clean stops"]
        if count % 10 == 0:
            print(f"   {self.world.seconds():7.1f} s  {self.progress()}", flush=True)

    def progress(self):
        acknowledged = sum(load.acknowledged for load in self.loads)
        waiting = len(self.evidence.settle())
        return (
            f"{self.kills['kill -9']} kills, {self.kills['clean stops']} stops, {self.kills['workers']} of workers; "
            f"{acknowledged} acknowledged, {waiting} tasks under way, {len(self.world.problems)} problems"
        )

    def read_log(self):
        """What the server said since the last time."""
        text = self.server.log.read_text(errors="replace")
        new = text[self.log_seen : text.rfind("\n") + 1]
        self.log_seen += len(new)
        for line in new.splitlines():
            if ALARMING.search(line):
                self.world.problem("server's log", line)
            if "unfinished" in line:
                self.world.count("torn tails dropped at a start")

    # Looking

    def be_quiet(self):
        self.memory.quiet()
        self.wait(self.quiet)
        self.memory.quiet_ends()

    def settle(self):
        """No more is sent; all that was sent must run."""
        self.world.stopping.set()
        for load in self.loads:
            load.join(60)
            if load.is_alive():
                self.world.problem(load.name, "does not end")
        for worker in self.workers:
            if worker.kind in ("rq", "bullmqsender"):
                # RQ waits longer and longer for a server that was away. Node's sender has sent enough.
                worker.kill(self.evidence)
                if worker.kind == "rq":
                    self.rq.rescue()
                    worker.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.bullmq:
                self.bullmq.read()
            self.results.attempt(self.results.collect)
            if not self.evidence.awaited() and all(load.drained() for load in self.draining):
                break
            time.sleep(0.2)
        # Those that went may come as well.
        time.sleep(1)
        self.results.attempt(self.results.collect)
        for worker in self.workers:
            worker.close()
        self.server.kill9()
        self.evidence.after_death(self.server.dir, self.world.seconds())
        self.evidence.judge()
        self.server.restart()

    def look_again(self):
        """All that is known must be there: now, after another kill, and after a clean stop."""
        for action in (None, self.server.kill9, self.server.terminate):
            if action is not None:
                action()
                self.server.restart()
            for load in self.loads:
                try:
                    load.verify()
                except CONNECTION_ERRORS as error:
                    self.world.problem(load.name, f"at the end: {error!r}")
        self.read_log()
        with self.world.client(0) as client:
            self.info = client.info("everything")


def run(home, **options):
    """Runs a soak; the main thread only."""
    assert threading.current_thread() is threading.main_thread()
    return Chaos(home, **options).run()
