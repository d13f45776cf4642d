"""The task queues: who sends, who works, and what a worker's death means for each."""

import re
import signal

from celery.result import AsyncResult
from rq import Queue as RqQueue
from rq import Retry as RqRetry
from rq.job import Job
from rq.registry import FailedJobRegistry, StartedJobRegistry

from harness.programs import Program
from queues import rq_jobs
from queues.celery_app import build
from queues.dramatiq_app import Actors
from queues.huey_app import Tasks

from .evidence import Gap, entry
from .world import Load

CELERY_DB, RQ_DB, HUEY_DB, DRAMATIQ_DB, BULLMQ_DB = 0, 5, 6, 7, 9

# What a dead worker had taken is given to others after this.
VISIBILITY_SECONDS = 6
CELERY_SETTINGS = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "result_expires": 300,
    "worker_send_task_events": False,
    "task_send_sent_event": False,
    "result_backend_always_retry": True,
    "result_backend_transport_options": {"retry_policy": {"max_retries": 500, "interval_start": 0, "interval_max": 0.1}},
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 0.5,
        "unacked_restore_throttle": 1,
        # Whoever is killed while it gives tasks back keeps the others from doing so, by default for five minutes.
        "unacked_mutex_expire": 5,
        "priority_steps": [0, 5],
    },
    "beat_schedule": {"tick": {"task": "queues.mark", "schedule": 1.0, "args": ["tick"]}},
}


def popped(queue):
    """In the log: something is taken from a list whose name begins like this."""
    return re.compile(rb"\r\n\$\d+\r\n[LRlrBb]\w*(?i:pop)\r\n\$\d+\r\n" + queue)


class Worker:
    """A worker program that is killed and started again. `gentle` ones are only asked to end, for they give nothing back."""

    def __init__(self, world, kind, home, arguments, environ, *, ready, gentle=None):
        self.world, self.kind, self.home = world, kind, home
        self.arguments, self.environ, self.ready = arguments, environ, ready
        self.gentle = gentle
        self.program = None
        self.lives = 0

    def start(self):
        self.lives += 1
        self.program = Program(self.home / f"{self.kind}-{self.lives}.log", self.arguments, environ=self.environ)

    def wait_until_ready(self):
        self.program.wait_for(self.ready)

    def alive(self):
        return self.program is not None and self.program.process.poll() is None

    def kill(self, evidence):
        """kill -9, with all its processes."""
        if self.gentle is not None:
            self.program.process.send_signal(self.gentle)
            try:
                self.program.wait(15)
            except AssertionError:
                self.program.kill9()
                evidence.worker_deaths.append((self.kind, self.world.seconds()))
        else:
            self.program.kill9()
            evidence.worker_deaths.append((self.kind, self.world.seconds()))

    def close(self):
        if self.program is not None:
            self.program.close()


class Sender(Load):
    """Sends numbered tasks; what was acknowledged is entered into the evidence."""

    kind = None

    def __init__(self, world, evidence):
        super().__init__(world, f"{self.kind}-sender")
        self.evidence = evidence
        self.number = 0

    def step(self):
        self.number += 1
        task = entry(self.kind, self.number)
        self.uncertain += 1
        self.send(task)
        self.uncertain -= 1
        self.evidence.took(task, self.kind)
        self.acknowledged += 1

    def send(self, task):
        raise NotImplementedError

    def verify(self):
        pass


class Celery(Sender):
    """Tasks now and later, of either priority, that note that they ran."""

    kind, rate = "celery", 40

    def __init__(self, world, evidence):
        super().__init__(world, evidence)
        self.app = build(world.server.url(CELERY_DB), **CELERY_SETTINGS)
        evidence.gaps.append(
            Gap(
                "celery",
                kinds=("celery", "results"),
                consumers=1,
                pop=popped(b"tasks"),
                note=re.compile(rb"\r\n(?i:hset)\r\n\$7\r\nunacked\r\n"),
            )
        )

    def send(self, task):
        countdown = self.random.choice([None, None, None, 2])
        priority = self.random.choice([0, 5])
        self.app.tasks["queues.mark"].apply_async((task,), task_id=task, countdown=countdown, priority=priority, retry=False)


class CeleryResults(Sender):
    """Tasks whose results are asked for, and must be right."""

    kind, rate = "results", 10

    def __init__(self, world, evidence, app):
        super().__init__(world, evidence)
        self.app = app
        self.waiting = {}

    def send(self, task):
        number = self.number
        self.app.tasks["queues.add"].apply_async((number, number), task_id=task, retry=False)
        self.waiting[task] = 2 * number
        if len(self.waiting) >= 10:
            self.collect()

    def collect(self):
        for task, expected in list(self.waiting.items()):
            result = AsyncResult(task, app=self.app)
            meta = self.app.backend.get_task_meta(task, cache=False)
            if meta["status"] in ("PENDING", "STARTED", "RECEIVED", "RETRY"):
                continue
            self.check(meta["result"] == expected, f"{task} has the result {meta}, not {expected}")
            self.evidence.is_done(task)
            del self.waiting[task]
            result.forget()

    def recover(self):
        self.collect()

    def verify(self):
        self.collect()


class Rq(Sender):
    """Jobs that are tried again if their worker dies."""

    kind, rate = "rq", 4

    def __init__(self, world, evidence):
        super().__init__(world, evidence)
        self.client = world.client(RQ_DB, decode_responses=False)
        self.queue = RqQueue("soak", connection=self.client)

    def send(self, task):
        self.queue.enqueue(rq_jobs.mark, task, job_id=task, retry=RqRetry(max=1000), result_ttl=5, job_timeout=30)

    def rescue(self):
        """What RQ itself does after a minute or more: jobs of dead workers go back to their queue."""
        for job in self.client.lrange(self.queue.intermediate_queue_key, 0, -1):
            self.queue.push_job_id(job.decode())
            self.client.lrem(self.queue.intermediate_queue_key, 1, job)
            self.world.count("rq: jobs put back from the intermediate queue")
        for registry in (StartedJobRegistry("soak", connection=self.client), FailedJobRegistry("soak", connection=self.client)):
            for name in registry.get_job_ids(cleanup=False):
                if Job.exists(name, connection=self.client):
                    self.queue.push_job_id(name)
                self.client.zrem(registry.key, name)
                self.world.count("rq: jobs of dead workers put back")


class Huey(Sender):
    """Tasks of a queue that gives nothing back: what its consumer has taken is lost with it."""

    kind, rate = "huey", 15

    def __init__(self, world, evidence):
        super().__init__(world, evidence)
        self.tasks = Tasks("list", world.server.url(HUEY_DB))
        evidence.gaps.append(Gap("huey", kinds=("huey",), consumers=2, pop=popped(b"huey\\.")))

    def send(self, task):
        self.tasks.mark(task)
        if self.number % 200 == 0:
            # Results that nobody asks for stay for ever.
            self.tasks.huey.storage.flush_results()


class Dramatiq(Sender):
    """Messages that are handed out until they are acknowledged."""

    kind, rate = "dramatiq", 20

    def __init__(self, world, evidence):
        super().__init__(world, evidence)
        self.actors = Actors(world.server.url(DRAMATIQ_DB))

    def send(self, task):
        self.actors.mark.send(task)


class BullMq:
    """Jobs from Node: a program sends, and writes down what was acknowledged; another one works."""

    kind = "bullmq"

    def __init__(self, world, evidence, home):
        self.world, self.evidence = world, evidence
        self.taken = home / "bullmq-taken"
        self.taken.touch()
        self.at = 0
        self.acknowledged = 0

    def read(self):
        """Enters what was acknowledged since the last time."""
        with self.taken.open() as file:
            file.seek(self.at)
            found = file.read()
        found = found[: found.rfind("\n") + 1]
        self.at += len(found)
        for task in found.split():
            self.evidence.took(task, self.kind)
            self.acknowledged += 1


def workers(world, home, node):
    """All workers; `node` is the directory with the packages of tests/node, or `None`."""
    import json

    server, ledger = world.server, str(world.ledger)

    def environ(db, **others):
        return {"DJR_TEST_URL": server.url(db), "DJR_TEST_LEDGER": ledger, **others}

    settings = json.dumps(CELERY_SETTINGS)
    celery = ["-m", "celery", "-A", "queues.celery_app"]
    found = [
        Worker(
            *(world, "celery", home),
            [*celery, "worker", "--hostname", "soak@test", "--concurrency", "2", "--loglevel", "INFO", "--without-mingle"],
            environ(CELERY_DB, DJR_TEST_CELERY=settings),
            ready="soak@test ready.",
        ),
        Worker(
            *(world, "beat", home),
            [*celery, "beat", "--schedule", str(home / "beat-schedule"), "--loglevel", "INFO"],
            environ(CELERY_DB, DJR_TEST_CELERY=settings),
            ready="beat: Starting",
        ),
        Worker(
            *(world, "rq", home),
            ["-m", "rq.cli", "worker", "--url", server.url(RQ_DB), "soak"],
            {"DJR_TEST_LEDGER": ledger},
            ready="Listening on",
        ),
        Worker(
            *(world, "huey", home),
            ["-m", "huey.bin.huey_consumer", "queues.huey_app.huey", "-k", "process", "-w", "2", "-s", "1", "-m", "0.2"],
            environ(HUEY_DB, DJR_TEST_HUEY="list"),
            ready="Huey consumer started",
            gentle=signal.SIGINT,
        ),
        Worker(
            *(world, "dramatiq", home),
            ["-m", "dramatiq", "queues.dramatiq_app:broker", "--processes", "1", "--threads", "2"],
            environ(DRAMATIQ_DB, DJR_TEST_DRAMATIQ="worker"),
            ready="Worker process is ready for action.",
        ),
    ]
    if node is not None:
        options = {"lockDuration": 3000, "stalledInterval": 1500, "maxStalledCount": 100_000, "concurrency": 4}
        job = json.dumps({"queue": "soak", "options": {**options, "removeOnComplete": {"count": 100}}})
        port = {"DJR_TEST_PORT": str(server.port), "DJR_TEST_DB": str(BULLMQ_DB), "DJR_TEST_LEDGER": ledger}
        found += [
            NodeWorker(world, "bullmq", home, [node / "tests" / "worker.js"], port | {"DJR_TEST_WORKER": job}, ready="ready"),
            NodeWorker(
                *(world, "bullmqsender", home),
                [node / "tests" / "sender.js"],
                port | {"DJR_TEST_TAKEN": str(home / "bullmq-taken")},
                ready="ready",
                gentle=signal.SIGTERM,
            ),
        ]
    return found


class NodeWorker(Worker):
    """The same in Node."""

    def start(self):
        self.lives += 1
        log = self.home / f"{self.kind}-{self.lives}.log"
        # The packages are found from the link to the tests that lies beside them.
        flags = ["--preserve-symlinks", "--preserve-symlinks-main"]
        self.program = Program(log, [*flags, *self.arguments], environ=self.environ, runtime="node")
