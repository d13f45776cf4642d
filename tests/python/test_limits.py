"""Counting through other libraries: `limits` and its Lua scripts, django-ratelimit, REST framework's throttles, Flask-Caching."""

import asyncio
import warnings

import pytest
from django.test import Client
from limits import RateLimitItemPerDay, RateLimitItemPerSecond, parse
from limits.aio.strategies import MovingWindowRateLimiter as AsyncMovingWindow
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

from harness.threads import run_all
from harness.waiting import wait_until

STRATEGIES = {
    "fixed window": FixedWindowRateLimiter,
    "moving window": MovingWindowRateLimiter,
    "sliding window": SlidingWindowCounterRateLimiter,
}


@pytest.fixture
def storage(server):
    storage = storage_from_string(server.url(3))
    yield storage
    storage.storage.connection_pool.disconnect()


@pytest.fixture(params=STRATEGIES)
def limiter(request, storage):
    return STRATEGIES[request.param](storage)


def test_a_limit(limiter, storage):
    limit = parse("5/day")
    assert storage.check()
    assert [limiter.hit(limit, "ada") for _ in range(7)] == [True] * 5 + [False] * 2
    assert not limiter.test(limit, "ada")
    assert limiter.get_window_stats(limit, "ada").remaining == 0
    assert limiter.hit(limit, "grace"), "each has a window of one's own"
    assert limiter.get_window_stats(limit, "grace").remaining == 4
    assert limiter.hit(limit, "whole", cost=5) and not limiter.hit(limit, "whole")
    limiter.clear(limit, "ada")
    assert limiter.hit(limit, "ada")
    assert storage.reset() > 0
    assert limiter.get_window_stats(limit, "grace").remaining == 5


def test_a_limit_ends(limiter):
    limit = RateLimitItemPerSecond(2)
    wait_until(lambda: not limiter.hit(limit, "brief"), what="a full window")
    wait_until(lambda: limiter.hit(limit, "brief"), what="room in it again")


def test_no_hit_is_counted_twice(limiter):
    limit = RateLimitItemPerDay(50)
    passed = run_all([lambda: sum(limiter.hit(limit, "crowd") for _ in range(20))] * 6)
    assert sum(passed) == 50


def test_asyncio(server):
    async def scenario():
        storage = storage_from_string(f"async+{server.url(3)}", implementation="redispy")
        limiter = AsyncMovingWindow(storage)
        limit = RateLimitItemPerDay(5)
        hits = await asyncio.gather(*[limiter.hit(limit, "ada") for _ in range(20)])
        await storage.bridge.storage.aclose()
        return sum(hits)

    assert asyncio.run(scenario()) == 5


@pytest.mark.usefixtures("site_cache")
@pytest.mark.parametrize("page", ["ratelimit", "throttled"])
def test_pages(page):
    client = Client()
    statuses = [client.get(f"/limited/{page}/", {"visitor": "ada"}).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert client.get(f"/limited/{page}/", {"visitor": "grace"}).status_code == 200


def test_flask_caching(server):
    with warnings.catch_warnings():
        # Flask's own imports are none of ours.
        warnings.simplefilter("ignore")
        from flask import Flask
        from flask_caching import Cache

    app = Flask(__name__)
    app.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=server.url(4), CACHE_DEFAULT_TIMEOUT=60)
    cache = Cache(app)
    runs = []

    @app.get("/page")
    @cache.cached(query_string=True)
    def page():
        runs.append("page")
        return f"run {len(runs)}"

    @cache.memoize()
    def square(number):
        runs.append(number)
        return number * number

    client, raw = app.test_client(), server.client(4)
    first = client.get("/page?a=1&b=2").data
    assert client.get("/page?b=2&a=1").data == first
    assert client.get("/page?a=2").data != first
    with app.app_context():
        assert [square(3), square(3), square(4)] == [9, 9, 16]
        assert runs.count(3) == 1
        cache.delete_memoized(square, 3)
        assert [square(3), square(4)] == [9, 16]
        assert (runs.count(3), runs.count(4)) == (2, 1)
        assert cache.set_many({"a": 1, "b": [2]}) and cache.get_many("a", "b", "c") == [1, [2], None]
        assert cache.add("a", 2) is False and cache.get("a") == 1
        cache.set("brief", "v", timeout=1)
        wait_until(lambda: cache.get("brief") is None)
        assert cache.delete_many("a", "b") and not cache.has("a")
        assert all(0 < raw.ttl(key) <= 60 for key in raw.keys())
        cache.clear()
    assert raw.dbsize() == 0
    cache.cache._write_client.connection_pool.disconnect()
