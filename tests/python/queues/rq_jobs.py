"""Jobs for RQ workers."""

import os
import time
from pathlib import Path

from queues import note, noted


def add(x, y):
    return x + y


def mark(entry):
    note(entry)
    return entry


def fail(entry):
    note(entry)
    raise ValueError(entry)


def fail_at_first(entry, failures):
    note(entry)
    if noted(entry) <= failures:
        raise ValueError(entry)
    return noted(entry)


def wait_for_file(path, entry=None):
    if entry is not None:
        note(f"{entry}:started")
    while not Path(path).exists():
        time.sleep(0.02)
    if entry is not None:
        note(entry)


def sleep(seconds):
    time.sleep(seconds)


def die(entry):
    note(entry)
    os.kill(os.getpid(), 9)


def on_success(job, connection, result):
    note(f"success:{job.id}:{result}")


def on_failure(job, connection, kind, value, traceback):
    note(f"failure:{job.id}:{kind.__name__}")
