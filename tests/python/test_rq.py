"""RQ with a real worker process and its scheduler: results, failures, retries, times, dependencies, registries, kill -9."""

from datetime import datetime, timedelta, timezone

import pytest
from rq import Callback, Queue, Repeat, Retry, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.group import Group
from rq.job import Job, JobStatus
from rq.results import Result

from harness.programs import Ledger, Program
from harness.waiting import wait_until
from queues import rq_jobs


class Rq:
    """Queues on one server, and the workers of a test."""

    def __init__(self, home, server):
        self.home = home
        self.server = server
        self.connection = server.client()
        self.ledger = Ledger(home / "ledger")
        self.programs = []

    def worker(self, name, *queues):
        program = Program(
            self.home / f"{name}.log",
            ["-m", "rq.cli", "worker", "--url", self.server.url(0), "--name", name, "--with-scheduler", *queues],
            environ={"DJR_TEST_LEDGER": str(self.ledger.path)},
        )
        self.programs.append(program)
        return program.wait_for("Listening on")

    def queue(self, name="default"):
        return Queue(name, connection=self.connection)

    def wait_for(self, job, status, seconds=20):
        wait_until(lambda: job.get_status() == status, seconds=seconds, what=f"{status} of {job.id}")

    def close(self):
        for program in self.programs:
            program.close()


@pytest.fixture(scope="module")
def rq(module_server, module_home):
    rq = Rq(module_home, module_server)
    rq.worker("main", "high", "default", "low")
    yield rq
    rq.close()


@pytest.fixture
def queue(rq):
    return rq.queue()


def test_a_job(rq, queue):
    job = queue.enqueue(rq_jobs.add, 2, 3)
    rq.wait_for(job, JobStatus.FINISHED)
    assert job.return_value() == 5
    assert job.latest_result().type == Result.Type.SUCCESSFUL
    assert job.id in queue.finished_job_registry
    assert 0 < rq.connection.ttl(job.key) <= 500


def test_a_failed_job_and_its_second_chance(rq, queue):
    job = queue.enqueue(rq_jobs.fail_at_first, "second-chance", 1)
    rq.wait_for(job, JobStatus.FAILED)
    assert "ValueError: second-chance" in job.latest_result().exc_string
    assert job.id in queue.failed_job_registry
    queue.failed_job_registry.requeue(job.id)
    rq.wait_for(job, JobStatus.FINISHED)
    assert job.return_value() == 2
    assert job.id not in queue.failed_job_registry


def test_retries(rq, queue):
    job = queue.enqueue(rq_jobs.fail_at_first, "at-once", 2, retry=Retry(max=3))
    rq.wait_for(job, JobStatus.FINISHED)
    assert job.return_value() == 3
    later = queue.enqueue(rq_jobs.fail_at_first, "later", 1, retry=Retry(max=1, interval=1))
    rq.wait_for(later, JobStatus.SCHEDULED)
    rq.wait_for(later, JobStatus.FINISHED)


def test_callbacks(rq, queue):
    good = queue.enqueue(
        rq_jobs.add, 1, 1, on_success=Callback(rq_jobs.on_success), on_failure=Callback(rq_jobs.on_failure)
    )
    bad = queue.enqueue(rq_jobs.fail, "callback", on_failure=Callback(rq_jobs.on_failure))
    wait_until(lambda: {f"success:{good.id}:2", f"failure:{bad.id}:ValueError"} <= set(rq.ledger.lines()), seconds=20)


def test_a_timeout_and_a_lost_process(rq, queue):
    job = queue.enqueue(rq_jobs.sleep, 30, job_timeout=1)
    rq.wait_for(job, JobStatus.FAILED)
    assert "JobTimeoutException" in job.latest_result().exc_string
    dead = queue.enqueue(rq_jobs.die, "dead")
    rq.wait_for(dead, JobStatus.FAILED)
    assert "Work-horse terminated unexpectedly" in dead.latest_result().exc_string


def test_scheduled_jobs(rq, queue):
    soon = queue.enqueue_in(timedelta(seconds=1), rq_jobs.mark, "soon")
    at = queue.enqueue_at(datetime.now(timezone.utc) + timedelta(seconds=1), rq_jobs.mark, "at")
    never = queue.enqueue_in(timedelta(hours=1), rq_jobs.mark, "never")
    assert {soon.id, at.id, never.id} <= set(queue.scheduled_job_registry.get_job_ids())
    rq.wait_for(soon, JobStatus.FINISHED)
    rq.wait_for(at, JobStatus.FINISHED)
    never.cancel()
    assert never.id not in queue.scheduled_job_registry
    assert never.id in queue.canceled_job_registry


def test_repeated_jobs(rq, queue):
    queue.enqueue(rq_jobs.mark, "repeated", repeat=Repeat(times=2, interval=1))
    wait_until(lambda: rq.ledger.count("repeated") == 3, seconds=20)


def test_dependencies_and_groups(rq, queue, tmp_path):
    first = queue.enqueue(rq_jobs.wait_for_file, str(tmp_path / "go"), "first")
    second = queue.enqueue(rq_jobs.mark, "second", depends_on=first)
    assert second.get_status() == JobStatus.DEFERRED
    assert second.id in queue.deferred_job_registry
    (tmp_path / "go").touch()
    rq.wait_for(second, JobStatus.FINISHED)
    lines = rq.ledger.lines()
    assert lines.index("first") < lines.index("second")
    data = [Queue.prepare_data(rq_jobs.add, (number, number)) for number in range(20)]
    group = Group.create(connection=rq.connection)
    jobs = group.enqueue_many(queue, data)
    for job in jobs:
        rq.wait_for(job, JobStatus.FINISHED)
    fetched = Job.fetch_many([job.id for job in jobs], connection=rq.connection)
    assert [job.return_value() for job in fetched] == [2 * number for number in range(20)]


def test_queues_have_an_order(rq, queue, tmp_path):
    blocker = queue.enqueue(rq_jobs.wait_for_file, str(tmp_path / "go"), "blocker")
    rq.wait_for(blocker, JobStatus.STARTED)
    for name in ("low", "default", "high"):
        rq.queue(name).enqueue(rq_jobs.mark, f"order:{name}")
    last = rq.queue("low").enqueue(rq_jobs.mark, "order:last")
    rq.queue("low").enqueue(rq_jobs.mark, "order:front", at_front=True)
    assert len(rq.queue("low")) == 3
    (tmp_path / "go").touch()
    rq.wait_for(last, JobStatus.FINISHED)
    order = [line for line in rq.ledger.lines() if line.startswith("order:")]
    assert order == ["order:high", "order:default", "order:front", "order:low", "order:last"]


def test_a_running_job_is_stopped(rq, queue):
    job = queue.enqueue(rq_jobs.sleep, 60)
    rq.wait_for(job, JobStatus.STARTED)
    worker = Worker.find_by_key("rq:worker:main", connection=rq.connection)
    assert worker.get_current_job_id() == job.id
    # Sent by PUBLISH, to a thread of the worker.
    send_stop_job_command(rq.connection, job.id)
    rq.wait_for(job, JobStatus.STOPPED)
    assert [worker.name for worker in Worker.all(connection=rq.connection)] == ["main"]


def test_unique_and_emptied(rq):
    queue = rq.queue("nobody")
    queue.enqueue(rq_jobs.add, 1, 1, job_id="one")
    queue.enqueue(rq_jobs.add, 1, 1, ttl=1)
    assert queue.get_job_ids()[0] == "one" and queue.count == 2
    assert queue.get_job_position("one") == 0
    assert Job.exists("one", connection=rq.connection)
    queue.empty()
    assert queue.count == 0
    queue.delete()


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_the_server_dies(make_server, tmp_path, appendfsync):
    server = make_server(appendfsync=appendfsync)
    rq = Rq(tmp_path, server)
    try:
        queue = rq.queue()
        worker = rq.worker("main", "default")
        running = queue.enqueue(rq_jobs.wait_for_file, str(tmp_path / "go"), "running")
        rq.wait_for(running, JobStatus.STARTED)
        queued = [queue.enqueue(rq_jobs.mark, f"queued:{number}") for number in range(10)]
        scheduled = [queue.enqueue_in(timedelta(seconds=2), rq_jobs.mark, f"scheduled:{number}") for number in range(5)]
        second = queue.enqueue(rq_jobs.mark, "dependent", depends_on=queued[-1])
        server.kill9()
        server.restart()
        (tmp_path / "go").touch()
        for job in [*queued, *scheduled, second]:
            rq.wait_for(job, JobStatus.FINISHED, seconds=40)
        assert rq.ledger.count("running") == 1
        assert all(rq.ledger.count(f"queued:{number}") == 1 for number in range(10))
        assert all(rq.ledger.count(f"scheduled:{number}") == 1 for number in range(5))
        assert worker.process.poll() is None
        send_shutdown_command(rq.connection, "main")
        assert worker.wait() == 0
    finally:
        rq.close()
