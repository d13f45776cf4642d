"""What all loads share: the server, whether it is up, what went wrong, and the loop that every load runs in."""

import random
import threading
import time
import traceback
from collections import Counter

import redis
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

# What a client may see of a server that was killed, is not up yet, or loads its data.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OperationalError, OSError, EOFError)


class World:
    """The server under test and everything known about the run."""

    def __init__(self, server, ledger, seed):
        self.server = server
        self.ledger = ledger
        self.seed = seed
        self.began = time.monotonic()
        self.stopping = threading.Event()
        self.problems = []
        self.counts = Counter()
        self._lock = threading.Lock()

    def seconds(self):
        """Since the beginning."""
        return time.monotonic() - self.began

    def problem(self, where, text):
        """Something that must not happen."""
        with self._lock:
            if len(self.problems) < 200:
                self.problems.append({"second": round(self.seconds(), 1), "where": where, "what": str(text)[:2000]})
                print(f"!! {self.seconds():7.1f} s  {where}: {text}", flush=True)
        self.count("problems")

    def count(self, what, by=1):
        with self._lock:
            self.counts[what] += by

    def client(self, db, **options):
        """A client that reports the first error: a command is sent once, or its outcome is unknown."""
        options = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 30, "decode_responses": True, **options}
        return redis.Redis(host="127.0.0.1", port=self.server.port, db=db, **options)


class Load(threading.Thread):
    """A thread that works until the world stops. Subclasses have `step`, and what follows from a lost connection in `recover`."""

    # Steps in a second, at most: the machine is shared by all.
    rate = 100

    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world = world
        self.random = random.Random(f"{world.seed} {name}")
        self.acknowledged = 0
        self.uncertain = 0
        self.cuts = 0
        self.checks = 0

    def run(self):
        while not self.world.stopping.is_set():
            began = time.monotonic()
            self.attempt(self.step)
            self.world.stopping.wait(max(0.0, 1 / self.rate - (time.monotonic() - began)))
        self.attempt(self.end)

    def attempt(self, action):
        """Runs it; after a lost connection `recover` until that succeeds."""
        while True:
            try:
                return action()
            except CONNECTION_ERRORS as error:
                self._cut(error)
                if action == self.step and self.world.stopping.is_set():
                    action = self.end
                elif action == self.step:
                    action = self.recover
            except Exception as error:  # whatever else there is must be told
                if is_connection_error(error):
                    self._cut(error)
                    continue
                self.world.problem(self.name, "".join(traceback.format_exception(error)[-3:]))
                time.sleep(0.5)
                return None

    def _cut(self, error):
        self.cuts += 1
        self.world.count(f"connection error: {type(error).__name__}")
        time.sleep(0.05 + self.random.random() * 0.1)

    def step(self):
        raise NotImplementedError

    def recover(self):
        """After a lost connection: finds out what became of what was under way, and looks whether all else is as it was."""

    def end(self):
        """After the last step, the server being there."""
        self.recover()

    def verify(self):
        """At the very end, and after each of the last restarts: whether all is there."""
        self.recover()

    def check(self, holds, text):
        """Counts a comparison; one that fails is a problem."""
        self.checks += 1
        if not holds:
            self.world.problem(self.name, text() if callable(text) else text)
        return holds

    def figures(self):
        """For the report."""
        return {
            "acknowledged": self.acknowledged,
            "outcome unknown": self.uncertain,
            "lost connections": self.cuts,
            "checks": self.checks,
        }


def is_connection_error(error):
    """Whether it is one, or was caused by one: libraries have wrappers of their own."""
    while error is not None:
        if isinstance(error, CONNECTION_ERRORS):
            return True
        error = error.__cause__ or error.__context__
    return False
