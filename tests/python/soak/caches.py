"""Django's caches and sessions: caches that evict may forget, but never tell something old; what may not be evicted must be there."""

from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import caches
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.caches import connection_options, disconnect_this_thread

from .journal import short
from .world import Load

CACHE_DB, VOLATILE_DB, SESSIONS_DB = 1, 2, 3
# Little, so that a run of a minute evicts: what `Cache` writes is several times of it.
CACHE_BYTES, VOLATILE_BYTES = 2 << 20, 1 << 20

CLASSES = [
    f"cache db {CACHE_DB} maxmemory {CACHE_BYTES} policy allkeys-lru",
    f"volatile db {VOLATILE_DB} maxmemory {VOLATILE_BYTES} policy volatile-lfu",
]


def entries(server, configuration):
    """`CACHES` of the run."""
    arguments = {"retry": Retry(NoBackoff(), 0), "socket_timeout": 30}
    django_redis = connection_options("django-redis", **arguments)
    return {
        "default": configuration("django-redis", server.url(CACHE_DB), **django_redis),
        "volatile": configuration("django", server.url(VOLATILE_DB), **arguments),
        "sessions": configuration("django-redis", server.url(SESSIONS_DB), **django_redis),
    }


class Cache(Load):
    """One cache that evicts, read and written by keys of this thread's own."""

    rate = 250
    KEYS = 4000

    def __init__(self, world, name, alias):
        super().__init__(world, name)
        self.alias = alias
        # What a key may hold: versions, None among them. Absent: not known to hold anything.
        self.may_hold = {}
        self.pending = None
        self.version = 0
        self.hits = self.misses = 0

    @property
    def cache(self):
        return caches[self.alias]

    def run(self):
        super().run()
        disconnect_this_thread()

    def key(self):
        # Some are asked for much more often than others, as in life.
        return f"{self.name}:{int(self.KEYS * self.random.random() ** 3)}"

    def step(self):
        key, draw = self.key(), self.random.random()
        if draw < 0.5:
            self.see(key, self.cache.get(key))
        elif draw < 0.6:
            keys = sorted({self.key() for _ in range(20)})
            found = self.cache.get_many(keys)
            for key in keys:
                self.see(key, found.get(key))
        elif draw < 0.95:
            self.version += 1
            value = (self.version, "x" * self.random.choice([50, 500, 2000, 8000]))
            self.pending = key, self.version
            self.cache.set(key, value, timeout=3600)
            self.done({self.version})
        else:
            self.pending = key, None
            self.cache.delete(key)
            self.done({None})

    def done(self, holds):
        self.may_hold[self.pending[0]] = holds
        self.pending = None
        self.acknowledged += 1

    def see(self, key, value):
        possible = self.may_hold.get(key, {None})
        version = value if value is None else value[0]
        # Evicted is always possible, but for good: what has been seen gone must not come back.
        if version is None:
            self.misses += 1
        else:
            self.hits += 1
            self.check(version in possible, lambda: f"{key} is of version {version}, possible were {possible}")
        self.may_hold[key] = {version}

    def recover(self):
        if self.pending is not None:
            key, version = self.pending
            self.may_hold[key] = self.may_hold.get(key, {None}) | {version}
            self.pending = None
            self.uncertain += 1
        self.look(self.random.sample(sorted(self.may_hold), min(len(self.may_hold), 200)))

    def look(self, keys):
        for start in range(0, len(keys), 100):
            part = keys[start : start + 100]
            found = self.cache.get_many(part)
            for key in part:
                self.see(key, found.get(key))

    def verify(self):
        self.look(sorted(self.may_hold))

    def figures(self):
        return super().figures() | {"hits": self.hits, "misses": self.misses}


class Kept(Load):
    """Entries without a timeout beside those that a `volatile-…` policy evicts: they must all stay."""

    rate = 40
    KEYS = 300

    def __init__(self, world, name, alias):
        super().__init__(world, name)
        self.alias = alias
        self.holds = {}
        self.pending = None

    @property
    def cache(self):
        return caches[self.alias]

    def run(self):
        super().run()
        disconnect_this_thread()

    def write(self, key, value):
        self.cache.set(key, value, timeout=None)

    def read(self, key):
        return self.cache.get(key)

    def step(self):
        key = f"{self.name}:{self.random.randrange(self.KEYS)}"
        if self.random.random() < 0.5:
            self.compare(key, [self.holds.get(key)])
            return
        value = {"number": self.acknowledged, "text": "y" * self.random.randrange(300)}
        self.pending = key, value
        self.write(key, value)
        self.holds[key] = value
        self.pending = None
        self.acknowledged += 1

    def compare(self, key, possible):
        found = self.read(key)
        self.check(found in possible, lambda: f"{key} holds {short(found)}, possible were {short(possible)}")
        self.holds[key] = found

    def recover(self):
        if self.pending is not None:
            key, value = self.pending
            self.compare(key, [self.holds.get(key), value])
            self.pending = None
            self.uncertain += 1
        for key in self.random.sample(sorted(self.holds), min(len(self.holds), 50)):
            self.compare(key, [self.holds[key]])

    def verify(self):
        self.recover()
        for key in self.holds:
            self.compare(key, [self.holds[key]])


class Sessions(Kept):
    """Django's sessions in a cache of a db without a limit."""

    rate = 30

    def __init__(self, world, name):
        assert settings.SESSION_CACHE_ALIAS == "sessions"
        super().__init__(world, name, "sessions")

    def write(self, key, value):
        session = SessionStore(self.session_key(key))
        # As the middleware does it: what there is is read first. A new session is made under its key.
        session["data"] = value
        session._session_key = self.session_key(key)
        session.save(must_create=self.holds.get(key) is None)

    def read(self, key):
        found = self.cache.get(SessionStore.cache_key_prefix + self.session_key(key))
        return found and found["data"]

    @staticmethod
    def session_key(key):
        return key.replace(":", "x").rjust(32, "0")
