"""Huey with a real consumer of several processes, on either kind of queue: a list, and a sorted set for priorities."""

import contextlib
import time
from datetime import datetime, timedelta

import pytest
from huey.api import chord, group
from huey.exceptions import TaskException

from harness.programs import Ledger, Program
from harness.waiting import wait_until
from queues.huey_app import Tasks

GET = {"blocking": True, "timeout": 30}


class Huey:
    """The tasks as the tests call them, and the consumer that runs them."""

    def __init__(self, home, server, kind):
        self.home = home
        self.server = server
        self.kind = kind
        self.tasks = Tasks(kind, server.url(0))
        self.huey = self.tasks.huey
        self.ledger = Ledger(home / "ledger")
        self.consumers = []

    def consume(self):
        program = Program(
            self.home / f"consumer{len(self.consumers)}.log",
            ["-m", "huey.bin.huey_consumer", "queues.huey_app.huey", "-k", "process", "-w", "2", "-s", "1", "-m", "0.2"],
            environ={
                "DJR_TEST_HUEY": self.kind,
                "DJR_TEST_URL": self.server.url(0),
                "DJR_TEST_LEDGER": str(self.ledger.path),
            },
        )
        self.consumers.append(program)
        return program.wait_for("Huey consumer started")

    def close(self):
        for consumer in self.consumers:
            consumer.close()
        self.huey.storage.pool.disconnect()


@pytest.fixture(scope="module", params=["list", "sorted set"])
def huey(module_server, module_home, request):
    home = module_home / request.param.replace(" ", "-")
    home.mkdir()
    huey = Huey(home, module_server, request.param)
    huey.huey.flush()
    huey.consume()
    yield huey
    huey.close()


@pytest.fixture
def tasks(huey):
    return huey.tasks


def test_results(tasks):
    assert tasks.add(2, 3).get(**GET) == 5
    assert tasks.add.map([(number, number) for number in range(50)]).get(**GET) == [2 * number for number in range(50)]
    result = tasks.add(1, "1")
    with pytest.raises(TaskException, match="TypeError"):
        result.get(**GET)


def test_retries(huey, tasks):
    result = tasks.flaky("flaky", 1)

    def outcome():
        """The outcome of each attempt is a result; this is the latest."""
        result.reset()
        with contextlib.suppress(TaskException):
            return result.get()

    wait_until(lambda: outcome() == 2)
    assert huey.ledger.count("flaky") == 2


def test_delays(tasks):
    began = time.time()
    later = tasks.mark.schedule(("later",), delay=1)
    at = tasks.mark.schedule(("at",), eta=datetime.now() + timedelta(seconds=1))
    assert tasks.mark("now").get(**GET) == "now"
    assert later.get(**GET) == "later"
    assert at.get(**GET) == "at"
    assert time.time() - began >= 1


def test_pipelines_groups_and_chords(huey, tasks):
    pipeline = tasks.add.s(1, 1).then(tasks.add, 2).then(tasks.add, 3)
    assert [result.get(**GET) for result in huey.huey.enqueue(pipeline)] == [2, 4, 7]
    together = huey.huey.enqueue(group([tasks.add.s(number, 1) for number in range(5)]))
    assert together.get(**GET) == [1, 2, 3, 4, 5]
    assert huey.huey.enqueue(chord([tasks.mark.s("a"), tasks.mark.s("b")], tasks.mark.s())).callback.get(**GET) == ["a", "b"]


def test_revoked_and_restored(huey, tasks):
    result = tasks.mark.schedule(("revoked",), delay=1)
    result.revoke()
    assert result.is_revoked()
    tasks.mark.revoke()
    tasks.mark("revoked")
    assert tasks.add(1, 1).get(**GET) == 2
    wait_until(lambda: huey.huey.scheduled_count() == 0 and huey.huey.pending_count() == 0)
    tasks.mark.restore()
    assert tasks.mark("restored").get(**GET) == "restored"
    assert huey.ledger.count("revoked") == 0


def test_locks(huey, tasks, tmp_path):
    first = tasks.locked("first", str(tmp_path / "go"))
    wait_until(lambda: huey.ledger.count("first:alone"))
    assert huey.huey.is_locked("only one")
    second = tasks.locked("second", str(tmp_path / "go"))
    try:
        with pytest.raises(TaskException, match="TaskLockedException"):
            second.get(**GET)
    finally:
        (tmp_path / "go").touch()
    wait_until(lambda: not huey.huey.is_locked("only one"))
    assert huey.ledger.count("second:alone") == 0
    first.get()


def test_rate_limits(huey):
    limit = huey.huey.rate_limit("page", limit=3, per=3600)
    for _ in range(3):
        limit.acquire()
    with pytest.raises(Exception, match="page"):
        limit.acquire()
    assert limit.current_usage() == 4
    limit.reset()
    limit.acquire()


def test_periodic_tasks(huey):
    """The scheduler looks when it starts, and then each minute."""
    wait_until(lambda: huey.ledger.count("each-minute"), seconds=20)
    assert huey.ledger.count("at-no-time") == 0


def test_priorities(huey, tasks, tmp_path):
    if huey.kind == "list":
        pytest.skip("a list has none")
    for number in range(2):
        tasks.wait_for_file(str(tmp_path / "go"), f"busy{number}")
    wait_until(lambda: all(huey.ledger.count(f"busy{number}:started") for number in range(2)))
    results = [tasks.mark(f"priority:{priority}", priority=priority) for priority in (1, 50, 7, 0, 100, 50)]
    assert huey.huey.pending_count() == 6
    (tmp_path / "go").touch()
    for result in results:
        result.get(**GET)
    order = [int(line.split(":")[1]) for line in huey.ledger.lines() if line.startswith("priority:")]
    # Two processes work on them, and may finish in another order than they began.
    assert {*order[:2]} <= {100, 50} and {*order[-2:]} <= {0, 1, 7}, order
    assert sorted(order, reverse=True)[:1] == [100]


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
@pytest.mark.parametrize("kind", ["list", "sorted set"])
def test_the_server_dies(make_server, tmp_path, kind, appendfsync):
    server = make_server(appendfsync=appendfsync)
    huey = Huey(tmp_path, server, kind)
    try:
        consumer = huey.consume()
        tasks = huey.tasks
        for number in range(2):
            tasks.wait_for_file(str(tmp_path / "go"), f"running:{number}")
        wait_until(lambda: all(huey.ledger.count(f"running:{number}:started") for number in range(2)))
        entries = [f"queued:{number}" for number in range(20)]
        for entry in entries:
            tasks.mark(entry)
        for number in range(5):
            tasks.mark.schedule((f"scheduled:{number}",), delay=1)
            entries.append(f"scheduled:{number}")
        pending = huey.huey.pending_count()
        assert pending >= 25
        server.kill9()
        server.restart()
        assert huey.huey.pending_count() >= pending
        (tmp_path / "go").touch()
        wait_until(lambda: all(huey.ledger.count(entry) == 1 for entry in entries), seconds=40, what="every task, once")
        assert all(huey.ledger.count(f"running:{number}") == 1 for number in range(2))
        assert tasks.add(1, 1).get(**GET) == 2
        consumer.process.send_signal(2)
        assert consumer.wait() == 0
    finally:
        huey.close()
