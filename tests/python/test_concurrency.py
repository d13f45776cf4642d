"""Many threads at the same keys: no increment lost, one winner, one holder of a lock."""

import pytest
from django.core.cache import caches

from harness.threads import run_all
from project.caches import DJANGO_REDIS, configuration, raw_client, using

THREADS = 8


def test_no_increment_is_lost(site_cache):
    site_cache.set("n", 0, timeout=600)

    def work():
        for _ in range(150):
            caches["default"].incr("n")
            caches["default"].decr("n", 3)

    run_all([work] * THREADS)
    assert site_cache.get("n") == -300 * THREADS


def test_add_has_one_winner(site_cache):
    for round_number in range(20):
        winners = run_all([lambda: caches["default"].add(f"race:{round_number}", "mine")] * THREADS)
        assert winners.count(True) == 1


def test_get_or_set_agrees_on_one_value(site_cache):
    for round_number in range(10):
        found = run_all(
            [
                lambda number=number: caches["default"].get_or_set(f"race:{round_number}", lambda: number)
                for number in range(THREADS)
            ]
        )
        assert set(found) == {site_cache.get(f"race:{round_number}")}


def test_writers_and_readers_of_the_same_values(site_cache):
    """A reader gets some writer's value, whole."""

    def write(number):
        for turn in range(60):
            caches["default"].set(f"shared:{turn % 5}", [number] * 2000)

    def read():
        for turn in range(200):
            value = caches["default"].get(f"shared:{turn % 5}")
            assert value is None or (len(value) == 2000 and len(set(value)) == 1)

    run_all([lambda number=number: write(number) for number in range(4)] + [read] * 4)


def test_clear_against_writers(site_cache):
    def write(number):
        for turn in range(200):
            caches["default"].set(f"{number}:{turn}", turn)

    def clear():
        for _ in range(30):
            caches["default"].clear()

    run_all([lambda number=number: write(number) for number in range(4)] + [clear])
    site_cache.clear()
    assert raw_client(site_cache).dbsize() == 0


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_lock_has_one_holder(server, timeout):
    with using(configuration(DJANGO_REDIS, server.url(1))) as cache:
        cache.set("n", 0)

        def work():
            own = caches["default"]
            for _ in range(15):
                with own.lock("job", timeout=timeout, sleep=0.002):
                    # Neither atomic nor safe without the lock.
                    own.set("n", own.get("n") + 1)

        run_all([work] * THREADS)
        assert cache.get("n") == 15 * THREADS
        assert not cache.has_key("job")


def test_the_sum_of_transfers_stays(server):
    """Scripts over several keys that lie anywhere in the keyspace."""
    names = [f"account:{number}" for number in range(50)]
    r = server.client(1)
    r.mset(dict.fromkeys(names, 100))
    source = "redis.call('DECRBY', KEYS[1], ARGV[1]) redis.call('INCRBY', KEYS[2], ARGV[1])"

    def transfer(seed):
        import random

        chance = random.Random(seed)
        client = server.client(1)
        script = client.register_script(source)
        for _ in range(150):
            script(keys=chance.sample(names, 2), args=[chance.randrange(50)])

    def watch_the_sum():
        client = server.client(1)
        for _ in range(150):
            assert sum(map(int, client.mget(names))) == 5000

    run_all([lambda seed=seed: transfer(seed) for seed in range(5)] + [watch_the_sum])
    assert sum(map(int, r.mget(names))) == 5000
