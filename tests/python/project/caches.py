"""`CACHES` for both backends, as their documentations write it, and a raw client out of either."""

from contextlib import contextmanager

from django.core.cache import caches
from django.test import override_settings
from django_redis.pool import ConnectionFactory

DJANGO_REDIS = "django-redis"
DJANGO = "django"
BACKENDS = (DJANGO_REDIS, DJANGO)


def configuration(backend, url, **options):
    """One entry of `CACHES`. `options` go to django-redis's or Django's OPTIONS."""
    if backend == DJANGO_REDIS:
        return {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", **options},
        }
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, "OPTIONS": options}


def connection_options(backend, **arguments):
    """OPTIONS that hand `arguments` to each redis-py connection."""
    if backend == DJANGO_REDIS:
        return {"CONNECTION_POOL_KWARGS": arguments}
    return arguments


@contextmanager
def using(default, **others):
    """Runs the project with these entries of `CACHES`; yields the default cache."""
    with override_settings(CACHES={"default": default, **others}):
        try:
            yield caches["default"]
        finally:
            disconnect_this_thread()
            # django-redis keeps pools per URL for the life of the process.
            for pool in ConnectionFactory._pools.values():
                pool.disconnect()
            ConnectionFactory._pools.clear()


def disconnect_this_thread():
    """Closes the connections that Django's own backend keeps for each thread, and leaves open when the thread ends."""
    for cache in caches.all(initialized_only=True):
        if hasattr(cache, "_servers"):
            for pool in cache._cache._pools.values():
                pool.disconnect()


def raw_client(cache):
    """The redis-py client behind a cache."""
    if hasattr(cache, "_servers"):
        return cache._cache.get_client(write=True)
    return cache.client.get_client(write=True)
