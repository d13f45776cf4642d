"""djr-cli's `inspect` and `django` on what the real Django and django-redis have stored."""

import datetime
import decimal
import pickle
import uuid
from importlib import import_module

import pytest
from django.core.cache import caches
from django.test import override_settings

from harness.cli import Cli
from project.caches import configuration, using

VALUE = {"name": "Ünïcode", "prices": [1, 2.5, None], "paid": True, "text": "long " * 60}


@pytest.fixture
def cli(server):
    return Cli(server.url(1))


def stored(server, value, key="page", **options):
    """Puts `value` into a cache of django-redis with these OPTIONS; returns the key in the server."""
    with using(configuration("django-redis", server.url(1), **options)) as cache:
        cache.set(key, value, timeout=None)
        return cache.make_key(key)


COMPRESSORS = {
    "zlib": ("zlib.ZlibCompressor", "zlib"),
    "gzip": ("gzip.GzipCompressor", "gzip"),
    "lzma": ("lzma.LzmaCompressor", "xz"),
    "zstd": ("zstd.ZStdCompressor", "zstd"),
    "lz4": ("lz4.Lz4Compressor", "lz4"),
    "none": ("identity.IdentityCompressor", None),
}
SERIALIZERS = {
    "pickle": "pickle.PickleSerializer",
    "json": "json.JSONSerializer",
    "msgpack": "msgpack.MSGPackSerializer",
}


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_every_compressor_and_serializer_of_django_redis(server, cli, compressor, serializer):
    path, layer = COMPRESSORS[compressor]
    key = stored(
        server,
        VALUE,
        COMPRESSOR=f"django_redis.compressors.{path}",
        SERIALIZER=f"django_redis.serializers.{SERIALIZERS[serializer]}",
    )
    found = cli.json("inspect", key)
    (element,) = found["elements"]
    assert element["layers"] == [layer, serializer] if layer else [serializer]
    assert element["value"] == VALUE
    assert found["type"] == "string" and found["ttl_ms"] is None
    text = cli.text("inspect", key)
    assert "Ünïcode" in text and (layer is None or f"({layer} > {serializer})" in text)


@pytest.mark.parametrize("level", range(6))
def test_every_protocol_of_pickle(server, cli, level):
    key = stored(server, VALUE, SERIALIZER="django_redis.serializers.pickle.PickleSerializer", PICKLE_VERSION=level)
    assert cli.json("inspect", key)["elements"][0]["value"] == VALUE


def test_what_a_page_caches(server, cli, backend):
    value = {
        "when": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "price": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=7),
        "tags": frozenset(["a"]),
        "size": (1, 2),
    }
    with using(configuration(backend, server.url(1))) as cache:
        cache.set("k", value, timeout=100)
        key = cache.make_key("k")
    found = cli.json("inspect", key)
    assert 0 < found["ttl_ms"] <= 100_000
    assert found["memory"] > 100
    shown = found["elements"][0]["value"]
    assert shown["when"] == repr(value["when"])
    assert shown["price"] == repr(value["price"])
    assert shown["id"] == repr(value["id"])
    assert shown["size"] == [1, 2]
    text = cli.text("inspect", key)
    assert repr(value["when"]) in text and "decimal.Decimal" not in text or "Decimal('1.10')" in text


def test_a_response_of_django_is_named_and_not_built(server, cli, backend):
    from django.http import HttpResponse

    with using(configuration(backend, server.url(1))) as cache:
        cache.set("response", HttpResponse(b"<h1>hello</h1>"), timeout=100)
        key = cache.make_key("response")
    text = cli.text("inspect", key)
    assert "django.http.response.HttpResponse" in text and "<h1>hello</h1>" in text


class Trap:
    """Would leave a file behind if anybody built it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("level", range(6))
def test_a_pickle_is_never_executed(server, cli, tmp_path, level):
    trap = tmp_path / "sprung"
    raw = server.client(1)
    raw.set("trap", pickle.dumps({"x": Trap(trap)}, level))
    text = cli.text("inspect", "trap")
    assert "io.open" in text or "open(" in text
    assert str(trap) in text
    assert not trap.exists()
    pickle.loads(raw.get("trap"))["x"].close()
    assert trap.exists()  # The trap works.


def test_numbers_stay_numbers(server, cli, backend):
    with using(configuration(backend, server.url(1))) as cache:
        cache.set("count", 41, timeout=None)
        cache.incr("count")
        key = cache.make_key("count")
    found = cli.json("inspect", key)
    assert found["elements"][0]["value"] == "42"
    assert found["encoding"] == "int"


def test_keys_by_prefix_and_version(server, cli, backend):
    with using(
        {**configuration(backend, server.url(1)), "KEY_PREFIX": "shop"},
        other={**configuration(backend, server.url(1)), "KEY_PREFIX": "a:b", "VERSION": 3},
    ) as cache:
        for number in range(5):
            cache.set(f"k{number}", "x" * 100, timeout=1000 * (number + 1))
        cache.set("endless", "x", timeout=None)
        cache.set("k0", "new", version=2, timeout=None)
        caches["other"].set("k", 1, timeout=60)
    server.client(1).set("plain", 1)
    found = cli.json("django", "keys")
    groups = {(group["prefix"], group["version"]): group for group in found["groups"]}
    assert set(groups) == {("shop", 1), ("shop", 2), ("a:b", 3)}
    shop = groups["shop", 1]
    assert shop["keys"] == 6 and shop["without_ttl"] == 1
    assert 900 < shop["ttl_min"] <= 1000 and 2900 < shop["ttl_median"] <= 3000 and 4900 < shop["ttl_max"] <= 5000
    assert shop["memory"] > 5 * 100
    assert found["other_keys"] == 1
    rows = {(row["PREFIX"], row["VERSION"]): row for row in cli.table("django", "keys")}
    assert rows["shop", "1"]["KEYS"] == "6" and rows["a:b", "3"]["KEYS"] == "1"
    assert [group["keys"] for group in cli.json("django", "keys", "--pattern", "a:b:*")["groups"]] == [1]


@pytest.mark.parametrize("serializer", ["json", "msgpack", "pickle"])
@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_sessions(server, cli, user, backend, engine, serializer):
    options = {}
    if backend == "django-redis":
        options["SERIALIZER"] = f"django_redis.serializers.{SERIALIZERS[serializer]}"
    with (
        using({**configuration(backend, server.url(1), **options), "KEY_PREFIX": "site"}),
        override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"),
    ):
        store = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
        sessions = []
        for number in range(3):
            session = store()
            session["_auth_user_id"] = str(number)
            session["cart"] = [number, {"sku": "x"}]
            session.set_expiry(1000)
            session.create()
            session.save()
            sessions.append(session.session_key)
    found = cli.json("django", "sessions")
    assert found["total"] == 3
    assert {row["session"] for row in found["sessions"]} == set(sessions)
    for row in found["sessions"]:
        number = sessions.index(row["session"])
        assert row["user"] == str(number)
        assert row["data"]["cart"] == [number, {"sku": "x"}]
        assert 900 < row["ttl_seconds"] <= 1000
    rows = cli.table("django", "sessions", "--prefix", "site")
    assert {row["SESSION"] for row in rows} == set(sessions)
    assert {row["USER"] for row in rows} == {"0", "1", "2"}
    assert cli.json("django", "sessions", "--prefix", "other")["total"] == 0
    assert len(cli.json("django", "sessions", "--limit", 2)["sessions"]) == 2


def test_watching(server, cli, backend):
    with using(configuration(backend, server.url(1))) as cache:
        cache.set("k", 1)
        first, second = cli.watch("django", "keys")
    assert first["groups"][0]["keys"] == second["groups"][0]["keys"] == 1


def test_bad_usage_is_one_line(cli):
    for words in (["django"], ["django", "nope"], ["inspect"], ["inspect", "missing"], ["django", "keys", "--watch", "x"]):
        outcome = cli.run(*words)
        assert outcome.returncode == 1
        assert outcome.stdout == b"" and outcome.stderr.count(b"\n") == 1, outcome
