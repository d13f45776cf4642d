"""Dramatiq actors; `python -m dramatiq queues.dramatiq_app:broker` runs them."""

import os
import time
from pathlib import Path

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimitsBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsBackend

from queues import note, noted

HEARTBEAT_MILLISECONDS = 2000


class Actors:
    """The actors, on a broker of their own."""

    def __init__(self, url):
        self.broker = broker = RedisBroker(
            url=url,
            # What a dead worker had taken is put back after this; looked at for each message.
            heartbeat_timeout=HEARTBEAT_MILLISECONDS,
            maintenance_chance=1_000_000,
        )
        self.results = ResultsBackend(url=url)
        broker.add_middleware(Results(backend=self.results))
        self.limits = LimitsBackend(url=url)
        self.window = WindowRateLimiter(self.limits, "window", limit=3, window=3600)
        self.mutex = ConcurrentRateLimiter(self.limits, "mutex", limit=1)
        mutex = self.mutex

        @dramatiq.actor(broker=broker, store_results=True, max_retries=0)
        def add(x, y):
            return x + y

        @dramatiq.actor(broker=broker, store_results=True, max_retries=0)
        def total(numbers):
            return sum(numbers)

        @dramatiq.actor(broker=broker)
        def mark(entry):
            note(entry)

        @dramatiq.actor(broker=broker, store_results=True, max_retries=3, min_backoff=200, max_backoff=400)
        def flaky(entry, failures):
            note(entry)
            if noted(entry) <= failures:
                raise ValueError(entry)
            return noted(entry)

        @dramatiq.actor(broker=broker, max_retries=0)
        def fail(entry):
            note(entry)
            raise ValueError(entry)

        @dramatiq.actor(broker=broker, store_results=True, max_retries=0, time_limit=1000)
        def endless():
            while True:
                time.sleep(0.01)

        @dramatiq.actor(broker=broker, max_retries=1000, min_backoff=50, max_backoff=100)
        def alone(entry, path):
            with mutex.acquire():
                note(f"{entry}:began")
                while not Path(path).exists():
                    time.sleep(0.02)
                note(entry)

        @dramatiq.actor(broker=broker)
        def wait_for_file(path, entry):
            note(f"{entry}:started")
            while not Path(path).exists():
                time.sleep(0.02)
            note(entry)

        for actor in (add, total, mark, flaky, fail, endless, alone, wait_for_file):
            setattr(self, actor.actor_name, actor)

    def close(self):
        self.broker.close()
        for client in (self.broker.client, self.results.client, self.limits.client):
            client.connection_pool.disconnect()


# The broker of a worker process; the tests build theirs.
if "DJR_TEST_DRAMATIQ" in os.environ:
    broker = Actors(os.environ["DJR_TEST_URL"]).broker
    dramatiq.set_broker(broker)
