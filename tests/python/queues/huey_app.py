"""A Huey instance; `python -m huey.bin.huey_consumer queues.huey_app.huey` runs it."""

import os
import time
from pathlib import Path

from huey import PriorityRedisExpireHuey, RedisHuey, crontab

from queues import note, noted

KINDS = {"list": RedisHuey, "sorted set": PriorityRedisExpireHuey}


class Tasks:
    """The tasks, on one instance of either kind of queue."""

    def __init__(self, kind, url):
        self.huey = huey = KINDS[kind]("app", url=url, notify_result=True)

        @huey.task()
        def add(x, y):
            return x + y

        @huey.task()
        def mark(entry):
            note(entry)
            return entry

        @huey.task(retries=3, retry_delay=1)
        def flaky(entry, failures):
            note(entry)
            if noted(entry) <= failures:
                raise ValueError(entry)
            return noted(entry)

        @huey.task()
        def wait_for_file(path, entry):
            note(f"{entry}:started")
            while not Path(path).exists():
                time.sleep(0.02)
            note(entry)

        @huey.lock_task("only one")
        def _alone(entry, path):
            note(f"{entry}:alone")
            while not Path(path).exists():
                time.sleep(0.02)

        @huey.task()
        def locked(entry, path):
            _alone(entry, path)

        @huey.periodic_task(crontab(minute="*"))
        def each_minute():
            note("each-minute")

        @huey.periodic_task(lambda now: False)
        def at_no_time():
            note("at-no-time")

        self.__dict__.update(
            (task.func.__name__, task) for task in (add, mark, flaky, wait_for_file, locked, each_minute, at_no_time)
        )


# The instance of a consumer process; the tests build theirs.
if "DJR_TEST_HUEY" in os.environ:
    huey = Tasks(os.environ["DJR_TEST_HUEY"], os.environ["DJR_TEST_URL"]).huey
