"""kill -9 of the server under a Celery worker, and of a worker under its tasks: what was acknowledged runs."""

import threading

import pytest
from celery import chain, chord, group
from kombu.exceptions import OperationalError

from harness.celery import Celery
from harness.waiting import wait_until

# A result that is let go asks the server not to be told of it any more; some are while there is no server.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

GET = {"timeout": 50, "interval": 0.02}
# What a worker had taken when it lost the broker comes back when this has passed.
VISIBILITY_SECONDS = 3
TRANSPORT = {
    "visibility_timeout": VISIBILITY_SECONDS,
    "unacked_restore_interval": 0.2,
    "unacked_restore_throttle": 1,
    "priority_steps": [0, 5],
}


@pytest.fixture(params=["always", "everysec"])
def server(make_server, request):
    return make_server(appendfsync=request.param)


@pytest.fixture
def celery(server, tmp_path):
    celery = Celery(
        tmp_path,
        server.url(0),
        broker_transport_options=TRANSPORT,
        # A task whose result can't be stored has not failed: it is stored when the server is back.
        result_backend_always_retry=True,
        result_backend_transport_options={"retry_policy": {"max_retries": 200, "interval_start": 0, "interval_max": 0.1}},
    )
    yield celery
    celery.close()


class Sender(threading.Thread):
    """Sends tasks until the server is gone, and remembers those that it took."""

    def __init__(self, celery, name):
        super().__init__(daemon=True)
        self.celery = celery
        self.name = name
        self.taken = []

    def run(self):
        mark = self.celery.task("mark")
        try:
            for number in range(1_000_000):
                entry = f"{self.name}:{number}"
                # Some now, some later, of either priority.
                countdown = 1.5 if number % 5 == 0 else None
                mark.apply_async((entry,), countdown=countdown, priority=5 * (number % 2), retry=False)
                self.taken.append(entry)
        except (OperationalError, OSError):
            return


def test_the_server_dies_with_tasks_queued_running_and_scheduled(celery, server, tmp_path):
    worker = celery.worker("main", concurrency=2)
    taken = []
    for round_number in range(2):
        running = [celery.task("wait_for_file").delay(str(tmp_path / "go"), f"running{round_number}:{n}") for n in range(2)]
        for result in running:
            celery.wait_for_state(result, "STARTED")
        scheduled = [celery.task("stamp").apply_async((f"eta{round_number}:{n}",), countdown=4) for n in range(5)]
        steps = chain(celery.task("add").s(1, 1), group([celery.task("add").s(n) for n in range(5)]), celery.task("total").s())
        chained = steps.delay()
        together = chord([celery.task("add").s(n, n) for n in range(10)])(celery.task("total").s())
        # The pool is taken, so all of these wait.
        senders = [Sender(celery, f"sender{round_number}.{number}") for number in range(2)]
        for sender in senders:
            sender.start()
        wait_until(lambda: all(len(sender.taken) >= 40 for sender in senders), seconds=30)
        server.kill9()
        for sender in senders:
            sender.join(20)
            assert not sender.is_alive()
            taken += sender.taken
        # What runs goes on without a server, and tells its result when there is one again.
        (tmp_path / "go").touch()
        wait_until(lambda: all(celery.ledger.count(f"running{round_number}:{n}") for n in range(2)), seconds=20)
        server.restart()
        assert [celery.outcome(result) for result in running] == ["found", "found"]
        assert celery.outcome(chained) == 20
        assert celery.outcome(together) == 90
        for result in scheduled:
            celery.outcome(result)
        wait_until(lambda: not set(taken) - set(celery.ledger.lines()), seconds=30, what="every task that was taken")
        (tmp_path / "go").unlink()
        assert worker.process.poll() is None, "the worker reconnects by itself"
    # Nothing is left of what was taken and acknowledged.
    client = server.client()
    wait_until(lambda: client.hlen("unacked") == 0 and client.llen("tasks") == 0, seconds=20, what="an empty broker")
    assert celery.asked("main", "ping") == {"ok": "pong"}
    assert worker.terminate() == 0


def test_a_worker_that_dies_gives_its_tasks_back(celery, server, tmp_path):
    """acks_late, and a worker killed with all its processes: after the visibility timeout another one runs its tasks."""
    first = celery.worker("first", concurrency=2)
    for number in range(2):
        celery.task("late").delay(str(tmp_path / "go"), f"late:{number}")
    wait_until(lambda: all(celery.ledger.count(f"late:{number}:started") for number in range(2)), seconds=20)
    # Taken by the worker, but not begun.
    waiting = [celery.task("add").delay(number, 1) for number in range(5)]
    wait_until(lambda: server.client().hlen("unacked") == 7)
    first.kill9()
    # The server dies, too, and with it nothing of what it knows of the first worker.
    server.kill9()
    server.restart()
    assert server.client().hlen("unacked") == 7
    (tmp_path / "go").touch()
    celery.worker("second", concurrency=2)
    wait_until(lambda: all(celery.ledger.count(f"late:{number}") == 1 for number in range(2)), seconds=30)
    assert [result.get(**GET) for result in waiting] == [1, 2, 3, 4, 5]
    wait_until(lambda: server.client().hlen("unacked") == 0, what="all acknowledged")
