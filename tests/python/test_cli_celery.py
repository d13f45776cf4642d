"""djr-cli's `inspect` and `celery` on what the real Celery and kombu have stored."""

from datetime import datetime, timedelta, timezone

import pytest
from kombu import Connection, Consumer, Queue

from harness.celery import Celery
from harness.cli import Cli
from harness.waiting import wait_until

ETA = datetime(2040, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.fixture
def celery(server, tmp_path):
    made = []

    def make(**settings):
        made.append(Celery(tmp_path, server.url(0), **settings))
        return made[-1]

    yield make
    for application in made:
        application.close()


@pytest.fixture
def cli(server):
    return Cli(server.url(0))


def send(celery, *arguments, **options):
    return celery.task("add").apply_async(arguments, **options)


def queue(found, name):
    (row,) = [row for row in found["queues"] if row["queue"] == name]
    return row


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml", "msgpack"])
@pytest.mark.parametrize("compression", [None, "zlib", "gzip", "lzma", "bzip2"])
def test_bodies(celery, cli, serializer, compression):
    # What kombu calls gzip is zlib.
    layer = {"lzma": "xz", "gzip": "zlib"}.get(compression, compression)
    application = celery(accept_content=["json", "pickle", "yaml", "msgpack"])
    result = send(application, 1, 2, serializer=serializer, compression=compression)
    (task,) = cli.json("celery", "tasks", "tasks")
    assert (task["id"], task["task"], task["arguments"]) == (result.id, "queues.add", "(1, 2) {}")
    layers = ["base64", *([layer] if layer else []), serializer]
    assert task["body"].split(" > ") == layers
    (element,) = cli.json("inspect", "tasks")["elements"]
    assert element["layers"] == ["json"]
    assert element["value"]["headers"]["id"] == result.id
    assert element["body"]["layers"] == layers
    if serializer == "yaml":
        assert "callbacks: null" in element["body"]["value"]
    else:
        assert element["body"]["value"][:2] == [[1, 2], {}]
    assert f"body ({' > '.join(layers)})" in cli.text("inspect", "tasks")


@pytest.mark.parametrize("separator", [None, ":", "|"])
def test_priorities(celery, cli, server, separator):
    words = ["--sep", separator] if separator == "|" else []
    options = {"priority_steps": list(range(10)), "queue_order_strategy": "priority"}
    if separator:
        options["sep"] = separator
    application = celery(broker_transport_options=options)
    sent = [send(application, number, 0, priority=number) for number in (9, 0, 5, 5)]
    row = queue(cli.json("celery", "queues", *words), "tasks")
    assert row["length"] == 4
    assert row["by_priority"] == {"0": 1, "5": 2, "9": 1}
    (shown,) = cli.table("celery", "queues", *words)
    assert shown["QUEUE"] == "tasks" and shown["LENGTH"] == "4" and shown["BY PRIORITY"] == "0:1 5:2 9:1"
    tasks = cli.json("celery", "tasks", "tasks", *words)
    # The order in which a worker takes them.
    assert [task["id"] for task in tasks] == [sent[1].id, sent[2].id, sent[3].id, sent[0].id]
    assert [task["priority"] for task in tasks] == [0, 5, 5, 9]
    assert len(cli.json("celery", "tasks", "tasks", "--limit", 2, *words)) == 2


def test_what_is_scheduled(celery, cli):
    application = celery()
    send(application, 1, 2, eta=ETA)
    send(application, 3, 4, countdown=3600)
    # Nobody has taken them: they are in the queue with their time.
    assert {task["eta"] is not None for task in cli.json("celery", "tasks", "tasks")} == {True}
    application.worker("main", "--queues", "tasks")
    wait_until(lambda: queue(cli.json("celery", "queues"), "tasks")["scheduled"] == 2, what="both tasks taken")
    row = queue(cli.json("celery", "queues"), "tasks")
    assert row["length"] == 0 and row["unacked"] == 2
    next_eta = datetime.fromisoformat(row["next_eta"])
    assert timedelta(0) < next_eta - datetime.now(timezone.utc) <= timedelta(hours=1)
    assert 0 <= row["oldest_taken_seconds"] < 60
    unacked = cli.json("celery", "unacked")
    assert {task["arguments"] for task in unacked} == {"(1, 2) {}", "(3, 4) {}"}
    assert any(datetime.fromisoformat(task["eta"]) == ETA for task in unacked)
    assert all(task["queue"] == "tasks" and 0 <= task["taken_seconds_ago"] < 60 for task in unacked)
    rows = cli.table("celery", "unacked")
    assert {row["TASK"] for row in rows} == {"queues.add"} and all(row["ETA"] != "-" for row in rows)


def test_consumers_that_wait(celery, cli):
    assert cli.json("celery", "queues")["consumers_waiting"] == 0
    application = celery()
    application.worker("main", "--queues", "tasks,other")
    wait_until(lambda: cli.json("celery", "queues")["consumers_waiting"] == 1, what="a worker that waits")
    assert "consumers waiting: 1" in cli.text("celery", "queues")
    assert {row["queue"] for row in cli.json("celery", "queues")["queues"]} >= {"tasks", "other"}


def test_a_prefix_for_all_keys(celery, cli, server):
    options = {"global_keyprefix": "shop*_"}
    application = celery(broker_transport_options=options, result_backend_transport_options=options)
    send(application, 1, 2)
    assert queue(cli.json("celery", "queues", "--prefix", "shop*_"), "tasks")["length"] == 1
    assert len(cli.json("celery", "tasks", "tasks", "--prefix", "shop*_")) == 1
    with Connection(server.url(0), transport_options=options) as connection:
        channel = connection.channel()
        taken = []
        with Consumer(channel, [Queue("tasks", channel=channel)], callbacks=[lambda _, message: taken.append(message)]):
            connection.drain_events(timeout=5)
        assert len(cli.json("celery", "unacked", "--prefix", "shop*_")) == 1
        assert cli.json("celery", "unacked") == []
        taken[0].ack()


def test_results(celery, cli):
    application = celery(task_store_errors_even_if_ignored=True)
    application.worker("main", "--queues", "tasks")
    done = send(application, 20, 22)
    assert done.get(timeout=30) == 42
    failed = send(application, "a", 1)
    with pytest.raises(TypeError):
        failed.get(timeout=30)
    found = cli.json("celery", "results")
    assert found["total"] == 2
    metas = {row["id"]: row["meta"] for row in found["results"]}
    assert metas[done.id]["status"] == "SUCCESS" and metas[done.id]["result"] == 42
    assert metas[failed.id]["status"] == "FAILURE" and metas[failed.id]["result"]["exc_type"] == "TypeError"
    assert all(0 < row["ttl_seconds"] <= 600 for row in found["results"])
    rows = {row["ID"]: row for row in cli.table("celery", "results")}
    assert rows[done.id]["RESULT"] == "42" and rows[failed.id]["RESULT"].startswith("TypeError")
    assert len(cli.json("celery", "results", "--limit", 1)["results"]) == 1


@pytest.mark.parametrize("serializer", ["pickle", "msgpack"])
def test_results_of_other_serializers(celery, cli, serializer):
    application = celery(result_serializer=serializer, accept_content=["json", serializer])
    application.app.backend.store_result("an-id", {"sent": True}, "SUCCESS")
    (row,) = cli.json("celery", "results")["results"]
    assert row["id"] == "an-id"
    assert row["meta"]["status"] == "SUCCESS" and row["meta"]["result"] == {"sent": True}


def test_watching(celery, cli):
    send(celery(), 1, 2)
    first, second = cli.watch("celery", "queues")
    assert queue(first, "tasks")["length"] == queue(second, "tasks")["length"] == 1


def test_nothing_there(cli):
    (row,) = cli.json("celery", "queues")["queues"]
    assert row["queue"] == "celery" and row["length"] == 0
    assert cli.json("celery", "tasks", "nope") == []
    assert cli.json("celery", "unacked") == []
    assert cli.json("celery", "results") == {"total": 0, "results": []}
    outcome = cli.run("celery", "tasks")
    assert outcome.returncode == 1 and outcome.stderr.count(b"\n") == 1
