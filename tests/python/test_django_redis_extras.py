"""What django-redis has beyond Django's cache API."""

import datetime
import time

import pytest
from django_redis import get_redis_connection
from redis.exceptions import LockError, LockNotOwnedError

from harness.waiting import Lifetime
from project.caches import DJANGO_REDIS, configuration, raw_client, using


@pytest.fixture
def cache(server, protocol):
    with using(configuration(DJANGO_REDIS, server.url(1, protocol=protocol))) as default:
        yield default


def test_ttl_and_pttl(cache):
    cache.set("k", "v", timeout=100)
    assert 95 <= cache.ttl("k") <= 100
    assert 95_000 < cache.pttl("k") <= 100_000
    cache.set("forever", "v", timeout=None)
    assert cache.ttl("forever") is None
    assert cache.pttl("forever") is None
    assert cache.ttl("missing") == 0
    assert cache.pttl("missing") == 0


def test_expire_and_persist(cache):
    cache.set("k", "v", timeout=None)
    assert cache.expire("k", 100)
    assert 95 <= cache.ttl("k") <= 100
    assert cache.pexpire("k", 50_500)
    assert 45_000 < cache.pttl("k") <= 50_500
    assert cache.persist("k")
    assert not cache.persist("k")
    assert cache.ttl("k") is None
    assert not cache.expire("missing", 10)
    assert not cache.persist("missing")


def test_expire_at(cache):
    raw = raw_client(cache)
    when = datetime.datetime.now() + datetime.timedelta(hours=1)
    cache.set("k", "v", timeout=None)
    assert cache.expire_at("k", when)
    assert raw.expiretime(cache.make_key("k")) == int(when.timestamp())
    exact = int((time.time() + 7200) * 1000)
    assert cache.pexpire_at("k", exact)
    assert raw.pexpiretime(cache.make_key("k")) == exact
    # A time in the past deletes at once.
    assert cache.expire_at("k", datetime.datetime.now() - datetime.timedelta(hours=1))
    assert cache.get("k") is None


def test_a_fraction_of_a_second(cache):
    life = Lifetime(seconds=0.3)
    cache.set("k", "v", timeout=0.3)
    life.ends_when(lambda: cache.get("k") is None)
    life = Lifetime(seconds=0.2)
    cache.set("k", "v", timeout=600)
    cache.pexpire("k", 200)
    life.ends_when(lambda: "k" not in cache)
    assert cache.ttl("k") == 0


def test_set_nx_and_xx(cache):
    assert not cache.set("k", 1, xx=True)
    assert cache.set("k", 1, nx=True)
    assert not cache.set("k", 2, nx=True)
    assert cache.set("k", 3, xx=True)
    assert cache.get("k") == 3


def test_incr_creates_when_asked_and_goes_beyond_64_bits(cache):
    assert cache.incr("n", 5, ignore_key_check=True) == 5
    cache.set("big", 2**63 - 1, timeout=600)
    # INCRBY would overflow; the error makes django-redis add in Python, keeping the time to live.
    assert cache.incr("big") == 2**63
    assert cache.get("big") == 2**63
    assert 590 < cache.ttl("big") <= 600


def _fill(cache):
    cache.set_many({f"user:{i}": i for i in range(300)}, timeout=None)
    cache.set_many({f"page:{i}": i for i in range(50)}, timeout=None)
    cache.set("user:1", "another version", version=2)


def test_keys_and_iter_keys(cache):
    _fill(cache)
    assert sorted(cache.keys("page:*")) == sorted(f"page:{i}" for i in range(50))
    assert set(cache.iter_keys("user:*", itersize=7)) == {f"user:{i}" for i in range(300)}
    assert sorted(cache.keys("user:[12]")) == ["user:1", "user:2"]
    assert sorted(cache.keys("page:4?")) == [f"page:{i}" for i in range(40, 50)]
    assert cache.keys("user:*", version=2) == ["user:1"]
    assert cache.keys("nothing*") == []


def test_delete_pattern(cache):
    _fill(cache)
    assert cache.delete_pattern("user:1*") == 111
    assert cache.delete_pattern("user:*", itersize=1000) == 189
    assert cache.delete_pattern("user:*") == 0
    assert len(cache.keys("*")) == 50
    assert cache.get("user:1", version=2) == "another version"


def test_delete_pattern_of_a_prefix_with_glob_characters(server):
    with using(configuration(DJANGO_REDIS, server.url(1)) | {"KEY_PREFIX": "a*b[c]?"}) as cache:
        cache.set("k", 1)
        raw_client(cache).set("aXb[c]?:1:k", "not ours")
        assert cache.keys("*") == ["k"]
        assert cache.delete_pattern("*") == 1
        assert raw_client(cache).keys() == [b"aXb[c]?:1:k"]


def test_lock(cache):
    lock = cache.lock("job", timeout=30)
    assert lock.acquire(blocking=False)
    rival = cache.lock("job", timeout=30)
    assert not rival.acquire(blocking=False)
    assert not rival.acquire(blocking_timeout=0.05)
    assert lock.owned() and lock.locked() and not rival.owned()

    assert lock.extend(60)
    assert 55_000 < cache.pttl("job") <= 90_000
    assert lock.reacquire()
    assert cache.pttl("job") <= 30_000

    lock.release()
    with pytest.raises(LockError):
        lock.release()
    with rival:
        assert rival.owned()
    assert not rival.locked()


def test_a_lock_is_not_released_by_a_late_owner(cache):
    slow = cache.lock("job", timeout=0.2)
    assert slow.acquire()
    quick = cache.lock("job", timeout=30, sleep=0.01)
    assert quick.acquire(blocking_timeout=10), "the first lock runs out by itself"
    with pytest.raises(LockNotOwnedError):
        slow.release()
    assert quick.owned()
    quick.release()


OPTION_SETS = {
    "zlib": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"},
    "gzip": {"COMPRESSOR": "django_redis.compressors.gzip.GzipCompressor"},
    "lzma": {"COMPRESSOR": "django_redis.compressors.lzma.LzmaCompressor"},
    "json": {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
    "json and zlib": {
        "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
    },
}


@pytest.mark.parametrize("name", OPTION_SETS)
def test_compressors_and_serializers(server, name):
    with using(configuration(DJANGO_REDIS, server.url(1), **OPTION_SETS[name])) as cache:
        value = {"text": "abc" * 1000, "numbers": list(range(100)), "none": None}
        cache.set("k", value)
        cache.set("n", 41)
        assert cache.get("k") == value
        assert cache.incr("n") == 42
        stored = raw_client(cache).get(cache.make_key("k"))
        if "COMPRESSOR" in OPTION_SETS[name]:
            assert len(stored) < 1000
        else:
            assert stored.startswith(b"{")


def test_raw_connection(cache):
    raw = get_redis_connection("default")
    cache.set("k", 7)
    assert raw.get(":1:k") == b"7"
    assert raw.type(":1:k") == b"string"


def test_ignore_exceptions_when_the_server_is_gone(make_server):
    server = make_server()
    with using(configuration(DJANGO_REDIS, server.url(1), IGNORE_EXCEPTIONS=True)) as cache:
        cache.set("k", "v")
        server.kill9()
        assert cache.get("k", "default") == "default"
        server.restart()
        assert cache.get("k") == "v"
