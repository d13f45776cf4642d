"""Django's cache API, whole, on django-redis and on Django's own backend, in RESP3 and RESP2."""

import datetime
import pickle
from dataclasses import dataclass
from decimal import Decimal

import pytest

from harness.waiting import Lifetime
from project.caches import configuration, raw_client, using


@dataclass(frozen=True)
class Article:
    title: str
    tags: tuple
    price: Decimal
    published: datetime.datetime


VALUES = {
    "text": "schöne Grüße, 你好",
    "empty": "",
    "integer": 42,
    "negative": -7,
    "largest": 2**63 - 1,
    "beyond": 2**80,
    "float": 3.25,
    "true": True,
    "false": False,
    "bytes": bytes(range(256)),
    "digits as bytes": b"12",
    "digits as text": "12",
    "crlf": "a\r\nb\0c",
    "list": [1, "two", None, {"three": (4.0,)}],
    "set": {1, 2, 3},
    "date": datetime.date(2024, 2, 29),
    "object": Article("DJR", ("cache",), Decimal("9.90"), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_kind_of_value_comes_back_equal(cache, name):
    cache.set("value", VALUES[name])
    found = cache.get("value")
    assert found == VALUES[name]
    assert type(found) is type(VALUES[name])


def test_a_megabyte_of_binary(cache):
    import random

    value = random.Random(1).randbytes(1 << 20)
    cache.set("big", value)
    assert cache.get("big") == value


def test_missing_and_default(cache):
    assert cache.get("missing") is None
    assert cache.get("missing", "default") == "default"
    assert "missing" not in cache
    assert not cache.has_key("missing")


def test_none_is_a_value(cache):
    cache.set("nothing", None)
    assert cache.get("nothing", "default") is None
    assert cache.has_key("nothing")


def test_set_replaces_and_delete_removes(cache):
    cache.set("k", "one")
    cache.set("k", "two")
    assert cache.get("k") == "two"
    assert cache.delete("k")
    assert not cache.delete("k")
    assert cache.get("k") is None


def test_add_writes_only_what_is_missing(cache):
    assert cache.add("k", "first")
    assert not cache.add("k", "second")
    assert cache.get("k") == "first"


def test_add_with_timeout_zero_stores_nothing(cache):
    cache.add("k", "v", timeout=0)
    assert cache.get("k") is None


def test_incr_and_decr(cache):
    cache.set("n", 10, timeout=600)
    assert cache.incr("n") == 11
    assert cache.incr("n", 31) == 42
    assert cache.decr("n") == 41
    assert cache.decr("n", 41) == 0
    assert cache.incr("n", -5) == -5
    assert cache.get("n") == -5
    # The time to live of the counter is left alone.
    assert 590 < raw_client(cache).ttl(cache.make_key("n")) <= 600


def test_incr_of_a_missing_key_is_an_error(cache):
    with pytest.raises(ValueError):
        cache.incr("missing")
    with pytest.raises(ValueError):
        cache.decr("missing")
    assert cache.get("missing") is None


def test_incr_of_text_is_an_error(cache):
    cache.set("text", "abc")
    with pytest.raises(Exception):
        cache.incr("text")
    assert cache.get("text") == "abc"


def test_touch(cache):
    raw = raw_client(cache)
    cache.set("k", "v", timeout=10)
    assert cache.touch("k", 1000)
    assert 990 < raw.ttl(cache.make_key("k")) <= 1000
    assert cache.touch("k", None)
    assert raw.ttl(cache.make_key("k")) == -1
    assert cache.touch("k")
    assert 290 < raw.ttl(cache.make_key("k")) <= 300
    assert not cache.touch("missing", 10)
    assert cache.get("k") == "v"


def test_get_or_set(cache):
    calls = []

    def compute():
        calls.append(1)
        return "computed"

    assert cache.get_or_set("k", compute, 60) == "computed"
    assert cache.get_or_set("k", compute, 60) == "computed"
    assert len(calls) == 1
    assert cache.get_or_set("plain", "value") == "value"
    assert cache.get_or_set("none", lambda: None) is None


def test_many(cache):
    values = {f"k{i}": {"number": i} for i in range(500)}
    assert not cache.set_many(values, timeout=600)
    assert cache.get_many(values) == values
    assert cache.get_many(["k1", "missing", "k499"]) == {"k1": {"number": 1}, "k499": {"number": 499}}
    assert cache.get_many(["missing"]) == {}
    assert cache.get_many([]) == {}
    assert 590 < raw_client(cache).ttl(cache.make_key("k7")) <= 600

    cache.delete_many([f"k{i}" for i in range(250)] + ["missing"])
    assert set(cache.get_many(values)) == {f"k{i}" for i in range(250, 500)}


def test_set_many_without_timeout_stays(cache):
    cache.set_many({"a": 1, "b": 2}, timeout=None)
    assert raw_client(cache).ttl(cache.make_key("a")) == -1


def test_default_timeout_none_and_zero(cache):
    raw = raw_client(cache)
    cache.set("default", 1)
    assert 290 < raw.ttl(cache.make_key("default")) <= 300
    cache.set("forever", 1, timeout=None)
    assert raw.ttl(cache.make_key("forever")) == -1
    cache.set("never", 1, timeout=0)
    assert cache.get("never") is None
    cache.set("default", 2, timeout=-1)
    assert cache.get("default") is None


def test_setting_anew_drops_the_old_timeout(cache):
    cache.set("k", 1, timeout=1)
    cache.set("k", 2, timeout=None)
    assert raw_client(cache).ttl(cache.make_key("k")) == -1


def test_a_short_life_ends_and_not_before_its_time(cache):
    life = Lifetime(seconds=1)
    cache.set("set", "v", timeout=1)
    cache.add("add", "v", timeout=1)
    cache.set_many({"many": "v"}, timeout=1)
    cache.set("touched", "v", timeout=600)
    cache.touch("touched", 1)
    cache.set("stays", "v", timeout=600)
    keys = ["set", "add", "many", "touched"]
    life.ends_when(lambda: not cache.get_many(keys))
    assert cache.get("stays") == "v"
    assert not any(cache.has_key(key) for key in keys)
    assert cache.add("add", "again"), "an expired key is free"
    with pytest.raises(ValueError):
        cache.incr("set")
    assert not cache.touch("many", 10)
    assert not cache.delete("touched")


def test_versions(cache):
    cache.set("k", "one")
    cache.set("k", "two", version=2)
    assert cache.get("k") == "one"
    assert cache.get("k", version=2) == "two"
    assert cache.get_many(["k"], version=2) == {"k": "two"}
    assert cache.has_key("k", version=2)
    cache.delete("k", version=2)
    assert cache.get("k", version=2) is None
    assert cache.get("k") == "one"


def test_incr_and_decr_version(cache):
    cache.set("k", "value", timeout=600)
    assert cache.incr_version("k") == 2
    assert cache.get("k") is None
    assert cache.get("k", version=2) == "value"
    assert cache.incr_version("k", 3, version=2) == 5
    assert cache.get("k", version=5) == "value"
    assert cache.decr_version("k", version=5) == 4
    assert cache.get("k", version=4) == "value"
    with pytest.raises(ValueError):
        cache.incr_version("missing")


def test_clear_empties_this_db_and_no_other(cache, server):
    other = server.client(2)
    other.set("theirs", "v")
    cache.set("ours", "v")
    cache.clear()
    assert cache.get("ours") is None
    assert raw_client(cache).dbsize() == 0
    assert other.get("theirs") == b"v"


def test_key_prefix_and_two_caches_in_one_db(server, backend):
    from django.core.cache import caches

    blue = configuration(backend, server.url(1)) | {"KEY_PREFIX": "blue"}
    green = configuration(backend, server.url(1)) | {"KEY_PREFIX": "green"}
    with using(blue, green=green) as cache:
        cache.set("k", "blue")
        caches["green"].set("k", "green")
        assert cache.get("k") == "blue"
        assert caches["green"].get("k") == "green"
        assert sorted(raw_client(cache).keys()) == [b"blue:1:k", b"green:1:k"]


def test_odd_keys(cache):
    for key in ["ключ", "with:colons:and/slashes", "glob*?[a-z]", "x" * 200, "'quotes\"", "{tag}{tag"]:
        cache.set(key, key)
        assert cache.get(key) == key
    assert raw_client(cache).dbsize() == 6


def test_stored_bytes_are_what_other_servers_hold(cache):
    """A value written through any other server must be readable through this one, and the other way round."""
    raw = raw_client(cache)
    cache.set("n", 5)
    assert raw.get(cache.make_key("n")) == b"5"
    cache.set("o", ["x"])
    assert pickle.loads(raw.get(cache.make_key("o"))) == ["x"]
    raw.set(cache.make_key("theirs"), pickle.dumps({"a": 1}))
    assert cache.get("theirs") == {"a": 1}


async def _async_api(cache):
    await cache.aset("k", [1])
    assert await cache.aget("k") == [1]
    assert await cache.aadd("k", 2) is False
    await cache.aset("n", 1)
    assert await cache.aincr("n", 4) == 5
    assert await cache.aget_many(["k", "n"]) == {"k": [1], "n": 5}
    assert await cache.adelete("k")
    await cache.aclear()
    assert not await cache.ahas_key("n")


def test_async_api(cache):
    import asyncio

    asyncio.run(_async_api(cache))
