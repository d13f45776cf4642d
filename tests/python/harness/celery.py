"""Celery as a test sees it: an application to send from, and worker, beat and other processes of the same application."""

import contextlib
import gc
import json

import redis
from kombu import pools

from harness.programs import Ledger, Program
from harness.waiting import wait_until


class Celery:
    """One application on one server, with the processes that a test starts for it.

    `settings` are Celery's own, and hold for the tests' side and the processes alike; a process may be given more.
    """

    def __init__(self, home, url, **settings):
        from queues.celery_app import build

        self.home = home
        self.url = url
        self.settings = settings
        self.app = build(url, **settings)
        self.ledger = Ledger(home / "ledger")
        self.programs = []

    def task(self, name):
        return self.app.tasks[f"queues.{name}"]

    def start(self, *arguments, **settings):
        """`celery ARGUMENTS`."""
        environ = {
            "DJR_TEST_URL": self.url,
            "DJR_TEST_LEDGER": str(self.ledger.path),
            "DJR_TEST_CELERY": json.dumps({**self.settings, **settings}),
        }
        log = self.home / f"celery{len(self.programs)}-{arguments[0]}.log"
        program = Program(log, ["-m", "celery", "-A", "queues.celery_app", *arguments], environ=environ)
        self.programs.append(program)
        return program

    def worker(self, name, *arguments, concurrency=2, **settings):
        """A prefork worker."""
        program = self.start(
            *("worker", "--hostname", f"{name}@test", "--concurrency", str(concurrency)),
            *("--pool", "prefork", "--loglevel", "INFO", *arguments),
            **settings,
        )
        program.wait_for(f"{name}@test ready.")
        # It is ready for tasks; for what it is told it may still be subscribing.
        wait_until(lambda: self._answers(name), what=f"an answer of {name}")
        return program

    def _answers(self, name):
        try:
            return self.app.control.ping(destination=[f"{name}@test"], timeout=0.3, limit=1)
        except redis.ConnectionError:
            # A connection of ours that the server's death has cut.
            return False

    def asked(self, name, question, *arguments):
        """The answer of one worker to one question of `inspect`."""
        # The first answer ends the wait, so the limit may be long.
        found = self.app.control.inspect([f"{name}@test"], timeout=10, limit=1)
        answers = getattr(found, question)(*arguments)
        assert answers is not None, f"{name} does not answer {question}"
        return answers[f"{name}@test"]

    def told(self, command, name, *arguments, **options):
        """The answer of one worker to one command of `control`."""
        method = getattr(self.app.control, command)
        answers = method(*arguments, destination=[f"{name}@test"], reply=True, timeout=10, limit=1, **options)
        assert answers, f"{name} does not answer {command}"
        return answers[0][f"{name}@test"]

    def wait_for_state(self, result, state, seconds=20):
        wait_until(lambda: result.state == state, seconds=seconds, what=f"state {state} of {result.id}")

    def outcome(self, result, seconds=50):
        """What a task came to, asked for rather than listened for.

        A Celery client that reconnects reads the results first and subscribes to them afterwards; one that is stored in between
        it never hears of, whatever the server does.
        """
        self.wait_for_state(result, "SUCCESS", seconds=seconds)
        return result.get(timeout=seconds)

    def close(self):
        for program in self.programs:
            program.close()
        # Results that are let go talk to the server, which is still there.
        gc.collect()
        # What a failed test still holds must not look for the server when that is gone.
        self.app.backend.remove_pending_result = lambda result: result
        with contextlib.suppress(Exception):
            self.app.backend.result_consumer.stop()
        self.app.backend.client.connection_pool.disconnect()
        self.app.close()
        self.app.pool.force_close_all()
        # The pools are kombu's, one for all applications on the same broker.
        pools.reset()

    def tails(self):
        return "\n\n".join(f"{program.log.name}:\n{program.tail()}" for program in self.programs)
