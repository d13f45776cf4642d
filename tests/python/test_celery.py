"""Celery with a real prefork worker: results, retries, times, workflows, limits and everything else that a project uses."""

import contextlib
import time
from datetime import datetime, timedelta, timezone

import pytest
from celery import chain, chord, group, states
from celery.exceptions import ChordError, TaskRevokedError, TimeoutError, TimeLimitExceeded, MaxRetriesExceededError

from harness.celery import Celery
from harness.waiting import wait_until

GET = {"timeout": 30, "interval": 0.02}


@pytest.fixture(scope="module")
def celery(module_server, module_home):
    celery = Celery(module_home, module_server.url(0))
    # Enough for a task that waits, beside others.
    celery.worker("main", "--queues", "tasks", concurrency=4)
    yield celery
    celery.close()


@pytest.fixture
def gate(tmp_path):
    """The name of a file; tasks wait for it, until the test makes it with `touch`, or ends."""
    gate = tmp_path / "gate"
    yield gate
    gate.touch()


@pytest.fixture
def run(celery):
    """Sends a task by its name: `run("add", 1, 2)`."""
    return lambda name, *arguments, **keywords: celery.task(name).delay(*arguments, **keywords)


@pytest.fixture
def signature(celery):
    return lambda name, *arguments: celery.task(name).s(*arguments)


# Results and states


def test_a_result(run):
    result = run("add", 2, 3)
    assert result.get(**GET) == 5
    assert result.state == states.SUCCESS
    assert result.successful() and result.ready()
    assert result.name == "queues.add" and list(result.args) == [2, 3]
    assert result.worker == "main@test"


def test_a_thousand_results(celery):
    results = celery.app.ResultSet([])
    for number in range(1000):
        results.add(celery.task("add").delay(number, 1))
    assert results.join_native(timeout=50, interval=0.05) == [number + 1 for number in range(1000)]


def test_a_failure(run):
    result = run("fail", "on purpose")
    with pytest.raises(ValueError, match="on purpose"):
        result.get(**GET)
    assert result.state == states.FAILURE
    assert "raise ValueError" in result.traceback


def test_large_arguments_and_results(run):
    assert run("blob", 3_000_000).get(**GET) == "x" * 3_000_000
    assert run("total", list(range(200_000))).get(**GET) == 19999900000


def test_states_on_the_way(celery, run, gate):
    unknown = celery.app.AsyncResult("no such task")
    assert unknown.state == states.PENDING
    with pytest.raises(TimeoutError):
        unknown.get(timeout=0.1)
    result = run("wait_for_file", str(gate))
    celery.wait_for_state(result, states.STARTED)
    assert result.info["hostname"] == "main@test"
    gate.touch()
    assert result.get(**GET) == "found"

    gate.unlink()
    result = run("progress", str(gate))
    celery.wait_for_state(result, "PROGRESS")
    assert result.info == {"done": 50}
    gate.touch()
    assert result.get(**GET) == "all"


def test_own_states_and_ignored_tasks(celery, run):
    result = run("ignored")
    celery.wait_for_state(result, "SKIPPED")
    assert result.info == {"why": "because"}
    assert run("replaced", 4).get(**GET) == 5


def test_results_are_forgotten(run, module_server):
    client = module_server.client()
    result = run("add", 1, 1)
    assert result.get(**GET) == 2
    key = f"celery-task-meta-{result.id}"
    assert 590 < client.ttl(key) <= 600
    result.forget()
    assert not client.exists(key)
    marked = run("mark", "without-result")
    follow = run("add", 1, 1)
    follow.get(**GET)
    assert not client.exists(f"celery-task-meta-{marked.id}")


# Retries, times


def test_retries(celery, run):
    assert run("flaky", "flaky2", 2).get(**GET) == 3
    assert celery.ledger.count("flaky2") == 3
    result = run("flaky", "flaky9", 9)
    with pytest.raises(Exception, match="flaky9"):
        result.get(**GET)
    assert celery.ledger.count("flaky9") == 4
    assert result.state == states.FAILURE


def test_a_retry_waits(celery, run):
    began = time.time()
    result = run("again", "again", 1)
    celery.wait_for_state(result, states.RETRY)
    assert celery.ledger.count("again") == 1
    assert result.get(**GET) == 1
    assert time.time() - began >= 1


def test_countdown_and_eta(celery):
    began = time.time()
    later = celery.task("stamp").apply_async(countdown=1)
    eta = datetime.now(timezone.utc) + timedelta(seconds=1.2)
    at = celery.task("stamp").apply_async(eta=eta)
    now = celery.task("stamp").apply_async()
    assert now.get(**GET) < later.get(**GET)
    assert later.get(**GET) >= began + 1
    assert at.get(**GET) >= eta.timestamp()


def test_tasks_expire(celery):
    expired = celery.task("add").apply_async((1, 1), expires=datetime.now(timezone.utc) - timedelta(seconds=1))
    with pytest.raises(TaskRevokedError):
        expired.get(**GET)
    assert celery.task("add").apply_async((1, 1), expires=60).get(**GET) == 2


def test_time_limits(celery):
    assert celery.task("sleepy").apply_async((20,), soft_time_limit=1).get(**GET) == "soft"
    with pytest.raises(TimeLimitExceeded):
        celery.task("sleepy").apply_async((20,), time_limit=1).get(**GET)


def test_rate_limits(celery):
    began = time.time()
    times = [celery.task("limited").delay("limited") for _ in range(6)]
    stamps = sorted(result.get(**GET) for result in times)
    # The bucket holds one, and gives five a second.
    assert stamps[-1] - began >= 0.95
    assert celery.told("rate_limit", "main", "queues.limited", "1000/s") == {"ok": "new rate limit set successfully"}
    more = [celery.task("limited").delay("limited") for _ in range(20)]
    for result in more:
        result.get(**GET)


# Workflows


def test_chains_groups_and_links(celery, signature):
    assert chain(signature("add", 1, 2), signature("add", 3), signature("add", 4)).delay().get(**GET) == 10
    result = group(signature("add", number, number) for number in range(20)).delay()
    assert result.get(**GET) == [2 * number for number in range(20)]
    result.save()
    restored = celery.app.GroupResult.restore(result.id)
    assert restored.completed_count() == 20 and restored.successful()
    restored.delete()
    assert celery.app.GroupResult.restore(result.id) is None
    celery.task("add").apply_async((1, 1), link=celery.task("mark").si("linked"))
    celery.task("fail").apply_async(("x",), link_error=celery.task("mark").si("link-error"))
    wait_until(lambda: {"linked", "link-error"} <= set(celery.ledger.lines()), seconds=20)


def test_chords(signature):
    header = [signature("add", number, number) for number in range(50)]
    assert chord(header)(signature("total")).get(**GET) == 2450
    # A chord in a chain, and a chord of chords.
    steps = chain(signature("add", 1, 1), group(signature("add", 1), signature("add", 2)), signature("total"), signature("add", 10))
    assert steps.delay().get(**GET) == 17
    inner = chord([signature("add", 1, 1), signature("add", 2, 2)], signature("total"))
    assert chord([inner, signature("add", 5, 5)], signature("total")).delay().get(**GET) == 16
    assert group(chain(signature("add", 1, 1), signature("add", 1)), signature("add", 9, 9)).delay().get(**GET) == [3, 18]


def test_a_chord_with_a_failure(celery, signature):
    result = chord([signature("add", 1, 1), signature("fail", "part")])(signature("total"))
    celery.wait_for_state(result, states.FAILURE)
    assert isinstance(result.result, ChordError)
    assert "part" in str(result.result)
    body = signature("total").on_error(celery.task("mark").si("chord-error"))
    chord([signature("add", 1, 1), signature("fail", "part")])(body)
    wait_until(lambda: celery.ledger.count("chord-error"), seconds=20)


def test_chunks_and_maps(celery):
    add = celery.task("add")
    chunks = add.chunks(zip(range(100), range(100)), 10)().get(**GET)
    assert [number for chunk in chunks for number in chunk] == [2 * number for number in range(100)]
    assert add.starmap([(1, 2), (3, 4)]).delay().get(**GET) == [3, 7]


# inspect and control


def test_inspect(celery, run, gate):
    running = run("wait_for_file", str(gate))
    celery.wait_for_state(running, states.STARTED)
    scheduled = celery.task("add").apply_async((1, 1), countdown=3600)
    asked = lambda question, *arguments: celery.asked("main", question, *arguments)
    assert asked("ping") == {"ok": "pong"}
    assert [task["id"] for task in asked("active")] == [running.id]
    wait_until(lambda: [task["request"]["id"] for task in asked("scheduled")] == [scheduled.id])
    assert {"queues.add", "queues.mark"} <= set(asked("registered"))
    assert [queue["name"] for queue in asked("active_queues")] == ["tasks"]
    stats = asked("stats")
    assert stats["broker"]["transport"] == "redis"
    assert stats["pool"]["max-concurrency"] == 4
    assert stats["total"]["queues.add"] >= 1
    assert asked("conf")["task_default_queue"] == "tasks"
    assert asked("query_task", [running.id])[running.id][0] == "active"
    assert "transport:redis" in asked("report")["ok"]
    assert asked("clock")["clock"] > 0
    celery.app.control.revoke(scheduled.id, reply=True, timeout=10, limit=1)
    assert scheduled.id in asked("revoked")
    gate.touch()
    running.get(**GET)
    assert asked("active") == []


def test_reserved(celery, run, gate):
    """What a worker has taken beyond what it runs."""
    waiting = [run("wait_for_file", str(gate)) for _ in range(4)]
    for result in waiting:
        celery.wait_for_state(result, states.STARTED)
    more = [run("add", number, 0) for number in range(6)]
    wait_until(lambda: {task["id"] for task in celery.asked("main", "reserved")} == {result.id for result in more})
    gate.touch()
    assert [result.get(**GET) for result in more] == list(range(6))


def test_revoke(celery, run, gate):
    waiting = [run("wait_for_file", str(gate)) for _ in range(4)]
    for result in waiting:
        celery.wait_for_state(result, states.STARTED)
    queued = run("mark", "revoked")
    result = run("add", 1, 1)
    celery.told("revoke", "main", queued.id)
    celery.told("revoke", "main", result.id)
    # A running task ends only if it is told to.
    celery.told("revoke", "main", waiting[0].id, terminate=True, signal="SIGKILL")
    with pytest.raises(TaskRevokedError):
        waiting[0].get(**GET)
    gate.touch()
    for other in waiting[1:]:
        assert other.get(**GET) == "found"
    with pytest.raises(TaskRevokedError):
        result.get(**GET)
    assert result.state == states.REVOKED
    assert celery.ledger.count("revoked") == 0
    assert run("add", 1, 1).get(**GET) == 2, "the pool has a new process"


def test_revoke_by_stamps(celery):
    stamped = celery.task("add").s(1, 1)
    stamped.stamp(customer="ada")
    celery.told("revoke_by_stamped_headers", "main", {"customer": ["ada"]})
    with pytest.raises(TaskRevokedError):
        stamped.apply_async().get(**GET)


def test_control(celery, run):
    assert celery.told("pool_grow", "main", 2) == {"ok": "pool will grow"}
    wait_until(lambda: len(celery.asked("main", "stats")["pool"]["processes"]) == 6)
    assert celery.told("pool_shrink", "main", 2) == {"ok": "pool will shrink"}
    wait_until(lambda: len(celery.asked("main", "stats")["pool"]["processes"]) == 4)
    assert "ok" in celery.told("time_limit", "main", "queues.sleepy", soft=1, hard=30)
    assert "ok" in celery.told("add_consumer", "main", "other")
    assert celery.task("describe").apply_async(queue="other").get(**GET)["queue"] == "other"
    assert "ok" in celery.told("cancel_consumer", "main", "other")
    wait_until(lambda: [queue["name"] for queue in celery.asked("main", "active_queues")] == ["tasks"])
    left = celery.task("mark").apply_async(("left",), queue="other")
    assert run("add", 1, 1).get(**GET) == 2
    assert celery.ledger.count("left") == 0, left.id
    with celery.app.connection_for_write() as connection:
        assert connection.default_channel.queue_purge("other") == 1


def test_broadcast_reaches_every_worker(celery):
    celery.worker("second", "--queues", "second", concurrency=1)
    assert sorted(celery.app.control.ping(timeout=10, limit=2), key=str) == [
        {"main@test": {"ok": "pong"}},
        {"second@test": {"ok": "pong"}},
    ]
    status = celery.start("status", "--timeout", "5")
    assert status.wait() == 0
    assert "2 nodes online." in status.said()
    celery.app.control.shutdown(destination=["second@test"])
    assert celery.programs[-2].wait() == 0
    assert celery.asked("main", "ping") == {"ok": "pong"}


# Priorities, acknowledgements, events, beat


def test_priorities(celery):
    """Tasks that wait together run by priority, 0 first; the steps are lists of their own."""
    priorities = [9, 3, 0, 6, 3, 9, 0, 5]
    for number, priority in enumerate(priorities):
        celery.task("mark").apply_async((f"p{priority}:{number}",), queue="ranked", priority=priority)
    worker = celery.worker("ranked", "--queues", "ranked", "--prefetch-multiplier", "1", concurrency=1)
    wait_until(lambda: sum(line.startswith("p") for line in celery.ledger.lines()) == len(priorities), seconds=30)
    order = [int(line[1]) for line in celery.ledger.lines() if line[0] == "p" and line[1].isdigit()]
    # It prefetches one while it runs one.
    assert order == sorted(priorities)
    assert celery.task("describe").apply_async(queue="ranked", priority=7).get(**GET)["priority"] == 7
    assert worker.terminate() == 0


def test_a_task_whose_process_dies_runs_again(celery, run):
    result = run("die_once", "died")
    assert result.get(**GET) == 2


def test_events(celery, run):
    recorder = celery.start("events", "--dump")
    recorder.wait_for("heartbeat: ")
    result = run("add", 20, 22)
    result.get(**GET)
    failed = run("fail", "seen")
    failed.get(propagate=False, **GET)
    recorder.wait_for(
        f"task received: queues.add({result.id}) args=(20, 22) kwargs={{}}",
        f"task started: queues.add({result.id})",
        f"task succeeded: queues.add({result.id})",
        f"task failed: queues.fail({failed.id})",
    )
    recorder.process.send_signal(2)
    recorder.wait()


def test_events_in_this_process(celery, run):
    seen = []
    with celery.app.connection_for_read() as named:
        receiver = celery.app.events.Receiver(named, handlers={"*": seen.append})
        with receiver.consumer_context() as (connection, _, _):

            def kinds(of=None):
                with contextlib.suppress(OSError):
                    connection.drain_events(timeout=0.2)
                return {event["type"] for event in seen if event.get("uuid") == of}

            # The workers tell that they are there to whom they hear; from then on nothing is missed.
            wait_until(lambda: "worker-heartbeat" in kinds())
            result = run("add", 1, 2)
            result.get(**GET)
            wait_until(lambda: kinds(result.id) >= {"task-sent", "task-received", "task-started", "task-succeeded"})


def test_beat(celery, module_home):
    settings = {
        "beat_schedule": {
            "each half second": {"task": "queues.mark", "schedule": 0.5, "args": ["beat"]},
            "each second": {"task": "queues.mark", "schedule": 1.0, "args": ["slow-beat"], "options": {"queue": "tasks"}},
            "expired": {"task": "queues.mark", "schedule": 1.0, "args": ["late-beat"], "options": {"expires": -1}},
        },
        "beat_max_loop_interval": 0.2,
    }
    beat = celery.start(
        *("beat", "--schedule", str(module_home / "schedule"), "--pidfile", str(module_home / "beat.pid")),
        **settings,
    )
    wait_until(lambda: celery.ledger.count("beat") >= 4 and celery.ledger.count("slow-beat") >= 2, seconds=30)
    assert celery.ledger.count("late-beat") == 0
    assert beat.terminate() == 0


def test_results_expire(celery, module_server):
    """`result_expires` is a time to live of the key; a result that nobody fetches goes."""
    worker = celery.worker("brief", "--queues", "brief", concurrency=1, result_expires=1)
    result = celery.task("add").apply_async((1, 1), queue="brief")
    assert result.get(**GET) == 2
    wait_until(lambda: not module_server.client().exists(f"celery-task-meta-{result.id}"))
    assert celery.app.AsyncResult(result.id).state == states.PENDING
    assert worker.terminate() == 0
