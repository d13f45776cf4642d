"""Memory limits: a cache that evicts beside a queue that does not."""

import pytest
import redis

from harness.waiting import wait_until

QUEUE, CACHE = 0, 1


def figures(client, section):
    return client.info(section)


def test_a_cache_never_evicts_a_queue(make_server):
    server = make_server(
        maxmemory="12mb",
        maxmemory_policy="noeviction",
        memory_class="cache db 1 maxmemory 6mb policy allkeys-lru",
    )
    queue, cache = server.client(db=QUEUE), server.client(db=CACHE)
    tasks = [f"task {number} {'x' * 50}" for number in range(2000)]
    queue.rpush("celery", *tasks)
    # Six times of what the cache may have.
    for start in range(0, 200_000, 1000):
        with cache.pipeline(transaction=False) as pipe:
            for number in range(start, start + 1000):
                pipe.set(f"page:{number}", "y" * 120)
            pipe.execute()
    assert queue.lrange("celery", 0, -1) == [task.encode() for task in tasks]
    assert 1000 < cache.dbsize() < 100_000
    classes = figures(cache, "memoryclasses")
    assert classes["memory_class_cache"]["used_memory"] <= 6 << 20
    assert classes["memory_class_cache"]["evicted_keys"] > 50_000
    assert classes["memory_class_default"]["evicted_keys"] == 0
    assert figures(cache, "stats")["evicted_keys"] == classes["memory_class_cache"]["evicted_keys"]
    # What was written last is there.
    assert cache.get("page:199999") == b"y" * 120


def test_a_full_broker_takes_acknowledgements_and_no_tasks(make_server):
    server = make_server(memory_class="broker db 0 maxmemory 1mb policy noeviction")
    queue = server.client(db=QUEUE)
    with pytest.raises(redis.exceptions.OutOfMemoryError, match="memory class 'broker'"):
        for _ in range(100_000):
            queue.lpush("celery", "x" * 100)
    waiting = queue.llen("celery")
    assert waiting > 1000
    # A worker takes a task, notes that it has it, and acknowledges it.
    _, task = queue.brpop("celery", timeout=1)
    with queue.pipeline(transaction=True) as pipe:
        pipe.zadd("unacked_index", {"tag": 1}).hset("unacked", "tag", task * 10)
        assert pipe.execute() == [1, 1]
    with queue.pipeline(transaction=True) as pipe:
        pipe.zrem("unacked_index", "tag").hdel("unacked", "tag")
        assert pipe.execute() == [1, 1]
    assert queue.llen("celery") == waiting - 1
    # Other dbs have room.
    assert server.client(db=CACHE).set("k", "v" * 100_000)
    while queue.rpop("celery"):
        pass
    assert queue.lpush("celery", "x") == 1


def test_the_log_warns_of_a_broker_within_reach(make_server):
    server = make_server(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    client = server.client(db=QUEUE)
    client.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    wait_until(lambda: "is used as a message broker" in server.log_tail(), seconds=20)
    assert client.info("memory")["broker_dbs_at_risk"] in (0, "0")
    client.config_set("memory-class", "broker db 0 policy noeviction")
    assert client.info("memory").get("broker_dbs_at_risk", "") == ""


def field(client, name, what):
    return next((int(found[what]) for found in client.client_list() if found["name"] == name), None)


def test_the_largest_client_is_closed_first(make_server):
    server = make_server()
    watcher = server.client()
    watcher.client_no_evict("ON")
    readers = []
    for number in range(1, 6):
        reader = server.client(client_name=f"c{number}", retry=None, single_connection_client=True)
        assert reader.ping()
        # A request of which the end does not come. Room is made for what was announced.
        sent = 400_000 << number
        reader.connection._sock.sendall(b"*2\r\n$4\r\nMGET\r\n$%d\r\n" % (sent + 1000) + b"v" * sent)
        readers.append(reader)

    def sizes():
        return [field(watcher, f"c{number}", "tot-mem") or 0 for number in range(1, 6)]

    wait_until(lambda: all(size > 400_000 << number for number, size in enumerate(sizes(), 1)), seconds=10)
    before = sizes()
    assert watcher.info("memory")["mem_clients_normal"] >= sum(before)
    assert watcher.info("memory")["used_memory"] >= sum(before)
    watcher.config_set("maxmemory-clients", sum(before[:3]) + 500_000)
    wait_until(lambda: sizes()[3:] == [0, 0], seconds=10)
    assert all(sizes()[:3])
    assert watcher.info("stats")["evicted_clients"] == 2
    assert watcher.ping()


@pytest.mark.parametrize("activedefrag", ["yes", "no"])
def test_memory_of_deleted_keys_goes_back(make_server, activedefrag):
    server = make_server(
        activedefrag=activedefrag,
        active_defrag_ignore_bytes="1mb",
        threads=1,
        appendonly="no",
    )
    client = server.client()
    count = 200_000

    def each(step):
        for start in range(0, count, 2000):
            with client.pipeline(transaction=False) as pipe:
                for number in range(start, start + 2000):
                    step(pipe, number)
                pipe.execute()

    def fill(pipe, number):
        if number % 20 == 0:
            pipe.rpush(f"k{number}", *[b"x" * 40] * 30)
        else:
            pipe.set(f"k{number}", b"v" * (16 + number * 7919 % 1500))

    each(fill)
    # Scattered, three of four.
    each(lambda pipe, number: (number * 2654435761 >> 7) % 4 and pipe.delete(f"k{number}"))
    expected = {
        number: 30 if number % 20 == 0 else 16 + number * 7919 % 1500
        for number in range(0, count, 97)
        if (number * 2654435761 >> 7) % 4 == 0
    }

    def held():
        info = client.info("memory")
        return info["used_memory_rss"] / info["used_memory"]

    if activedefrag == "yes":
        # Of so little data the slabs that are begun, and the process itself, are a large part.
        wait_until(lambda: held() < 2.7, seconds=60)
        assert client.info("stats")["active_defrag_hits"] > 10_000
    else:
        assert held() > 3.2
        assert client.info("stats")["active_defrag_hits"] == 0
    for number, length in expected.items():
        found = client.llen(f"k{number}") if number % 20 == 0 else client.strlen(f"k{number}")
        assert found == length
