"""Dramatiq with real worker processes: results, retries, delays, composition, rate limits, kill -9 of server and worker."""

import time

import pytest
from dramatiq import group, pipeline
from dramatiq.rate_limits import Barrier
from dramatiq.results import ResultFailure

from harness.programs import Ledger, Program
from harness.waiting import wait_until
from queues.dramatiq_app import Actors


class Dramatiq:
    """The actors as the tests send to them, and the workers that run them."""

    def __init__(self, home, server):
        self.home = home
        self.server = server
        self.actors = Actors(server.url(0))
        self.ledger = Ledger(home / "ledger")
        self.workers = []

    def worker(self):
        program = Program(
            self.home / f"worker{len(self.workers)}.log",
            ["-m", "dramatiq", "queues.dramatiq_app:broker", "--processes", "1", "--threads", "2"],
            environ={
                "DJR_TEST_DRAMATIQ": "worker",
                "DJR_TEST_URL": self.server.url(0),
                "DJR_TEST_LEDGER": str(self.ledger.path),
            },
        )
        self.workers.append(program)
        return program.wait_for("Worker process is ready for action.")

    def close(self):
        for worker in self.workers:
            worker.close()
        self.actors.close()


@pytest.fixture(scope="module")
def dramatiq(module_server, module_home):
    dramatiq = Dramatiq(module_home, module_server)
    dramatiq.worker()
    yield dramatiq
    dramatiq.close()


@pytest.fixture
def actors(dramatiq):
    return dramatiq.actors


@pytest.fixture
def get(actors):
    """How results are asked for."""
    return {"backend": actors.results, "block": True, "timeout": 30_000}


def test_results(actors, get):
    assert actors.add.send(2, 3).get_result(**get) == 5
    messages = [actors.add.send(number, number) for number in range(100)]
    assert [message.get_result(**get) for message in messages] == [2 * number for number in range(100)]
    with pytest.raises(ResultFailure, match="TypeError"):
        actors.add.send(1, "1").get_result(**get)


def test_retries(dramatiq, actors, get):
    assert actors.flaky.send("flaky", 2).get_result(**get) == 3
    assert dramatiq.ledger.count("flaky") == 3


def test_dead_letters(dramatiq, actors):
    client = dramatiq.server.client()
    before = client.zcard("dramatiq:default.XQ")
    message = actors.fail.send("dead")
    wait_until(lambda: client.zcard("dramatiq:default.XQ") == before + 1)
    assert dramatiq.ledger.count("dead") == 1
    assert client.hexists("dramatiq:default.XQ.msgs", message.options["redis_message_id"])


def test_delays(actors, get):
    began = time.time()
    assert actors.add.send_with_options(args=(1, 1), delay=1000).get_result(**get) == 2
    assert time.time() - began >= 1


def test_time_limits(actors, get):
    with pytest.raises(ResultFailure, match="TimeLimitExceeded"):
        actors.endless.send().get_result(**get)


def test_pipelines_and_groups(dramatiq, actors, get):
    steps = pipeline([actors.add.message(1, 1), actors.add.message(2), actors.add.message(3)], broker=actors.broker)
    assert steps.run().messages[-1].get_result(**get) == 7
    together = group([actors.add.message(number, 1) for number in range(10)], broker=actors.broker).run()
    assert [message.get_result(**get) for message in together.children] == list(range(1, 11))


def test_rate_limits(dramatiq, actors, tmp_path):
    """Counted in transactions that watch their key."""
    acquired = []
    for _ in range(5):
        with actors.window.acquire(raise_on_failure=False) as got_it:
            acquired.append(got_it)
    assert acquired == [True, True, True, False, False]
    # Two threads want it, one gets it; the other is retried until it is free.
    for number in range(2):
        actors.alone.send(f"alone{number}", str(tmp_path / "go"))
    wait_until(lambda: sum(line.endswith(":began") for line in dramatiq.ledger.lines()) == 1)
    (tmp_path / "go").touch()
    wait_until(lambda: {"alone0", "alone1"} <= set(dramatiq.ledger.lines()), seconds=20)
    lines = [line for line in dramatiq.ledger.lines() if line.startswith("alone")]
    first, second = lines[0][:6], lines[2][:6]
    assert lines == [f"{first}:began", first, f"{second}:began", second]


def test_barriers(actors):
    barrier = Barrier(actors.limits, "barrier", ttl=30_000)
    assert barrier.create(parties=2)
    assert not barrier.wait(block=False)
    assert barrier.wait(block=False)
    assert barrier.wait(timeout=1000)


def test_a_worker_that_dies(dramatiq, actors, tmp_path):
    """What it had taken is put back when its heartbeat has been missing for a while."""
    for number in range(2):
        actors.wait_for_file.send(str(tmp_path / "go"), f"dying{number}")
    wait_until(lambda: all(dramatiq.ledger.count(f"dying{number}:started") for number in range(2)))
    dramatiq.workers[0].kill9()
    (tmp_path / "go").touch()
    dramatiq.worker()
    wait_until(lambda: all(dramatiq.ledger.count(f"dying{number}") == 1 for number in range(2)), seconds=30)


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_the_server_dies(make_server, tmp_path, appendfsync):
    server = make_server(appendfsync=appendfsync)
    dramatiq = Dramatiq(tmp_path, server)
    try:
        worker = dramatiq.worker()
        actors = dramatiq.actors
        for number in range(2):
            actors.wait_for_file.send(str(tmp_path / "go"), f"running:{number}")
        wait_until(lambda: all(dramatiq.ledger.count(f"running:{number}:started") for number in range(2)))
        entries = [f"queued:{number}" for number in range(30)]
        for entry in entries:
            actors.mark.send(entry)
        for number in range(5):
            actors.mark.send_with_options(args=(f"delayed:{number}",), delay=1500)
            entries.append(f"delayed:{number}")
        server.kill9()
        server.restart()
        (tmp_path / "go").touch()
        # The worker finds the server again by itself, and goes on with what is queued.
        assert actors.add.send(1, 1).get_result(backend=actors.results, block=True, timeout=40_000) == 2
        # What it had taken before is another's when it is gone; at least once: what ran while the server was gone could
        # not be acknowledged.
        assert worker.terminate() == 0
        dramatiq.worker()
        entries += [f"running:{number}" for number in range(2)]
        wait_until(lambda: not set(entries) - set(dramatiq.ledger.lines()), seconds=40, what="every message")
    finally:
        dramatiq.close()
