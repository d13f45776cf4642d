"""A Celery application; `python -m celery -A queues.celery_app worker` runs it."""

import json
import os
import time
from pathlib import Path

from celery import Celery, Task
from celery.exceptions import Ignore, SoftTimeLimitExceeded

from queues import note, noted


class Flaky(Exception):
    """What passes if one tries again."""


def build(url, **settings):
    """An application whose broker and result backend are the server at `url`."""
    app = Celery("queues", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        # Until the server is back, without growing pauses.
        broker_connection_retry_delay=0.1,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": 60,
            "priority_steps": list(range(10)),
            "queue_order_strategy": "priority",
            "unacked_restore_interval": 0.5,
            "unacked_restore_throttle": 1,
        },
        result_expires=600,
        result_extended=True,
        task_track_started=True,
        task_send_sent_event=True,
        worker_send_task_events=True,
        worker_prefetch_multiplier=4,
        worker_hijack_root_logger=False,
        task_default_queue="tasks",
    )
    app.conf.update(settings)
    for function, options in TASKS:
        app.task(**{"name": f"queues.{function.__name__}", **options})(function)
    return app


TASKS = []


def task(**options):
    def register(function):
        TASKS.append((function, options))
        return function

    return register


@task()
def add(x, y):
    return x + y


@task()
def total(numbers):
    return sum(numbers)


@task()
def fail(message):
    raise ValueError(message)


@task(ignore_result=True)
def mark(entry):
    note(entry)


@task()
def stamp(entry=None):
    """When it ran."""
    if entry is not None:
        note(entry)
    return time.time()


@task(bind=True)
def describe(self):
    request = self.request
    return {
        "id": request.id,
        "retries": request.retries,
        "queue": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "headers": request.headers,
        "hostname": request.hostname,
        "pid": os.getpid(),
    }


@task(autoretry_for=(Flaky,), retry_backoff=False, default_retry_delay=0.2, max_retries=3)
def flaky(entry, failures):
    """Fails so often, then passes."""
    note(entry)
    if noted(entry) <= failures:
        raise Flaky(entry)
    return noted(entry)


@task(bind=True)
def again(self, entry, countdown):
    """Asks once to be run again, after `countdown` seconds."""
    note(entry)
    if not self.request.retries:
        raise self.retry(countdown=countdown, max_retries=1)
    return self.request.retries


@task(bind=True)
def wait_for_file(self, path, entry=None):
    """Runs until there is a file of this name."""
    if entry is not None:
        note(f"{entry}:started")
    while not Path(path).exists():
        time.sleep(0.02)
    if entry is not None:
        note(entry)
    return "found"


@task(bind=True, acks_late=True, reject_on_worker_lost=True)
def die_once(self, entry):
    """Kills its own pool process the first time."""
    note(entry)
    if noted(entry) == 1:
        os.kill(os.getpid(), 9)
    return noted(entry)


@task(acks_late=True)
def late(path, entry):
    note(f"{entry}:started")
    while not Path(path).exists():
        time.sleep(0.02)
    note(entry)


@task(bind=True)
def progress(self, path):
    self.update_state(state="PROGRESS", meta={"done": 50})
    while not Path(path).exists():
        time.sleep(0.02)
    return "all"


@task()
def sleepy(seconds):
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return "soft"
    return "slept"


@task(bind=True)
def replaced(self, x):
    return self.replace(self.app.signature("queues.add", (x, 1)))


@task(bind=True)
def ignored(self):
    self.update_state(state="SKIPPED", meta={"why": "because"})
    raise Ignore


@task()
def blob(size):
    return "x" * size


@task(base=Task, rate_limit="5/s")
def limited(entry):
    note(entry)
    return time.time()


# The settings of a worker process; the tests build theirs.
if "DJR_TEST_URL" in os.environ:
    app = build(os.environ["DJR_TEST_URL"], **json.loads(os.environ.get("DJR_TEST_CELERY", "{}")))
