"""Rate limiting: how it is often done, and how it is done right."""

from django.core.cache import caches
from django_redis import get_redis_connection

ALIAS = "limits"


def hits_simple(name, window):
    """Counts a hit, and returns how many there were in this window of `window` seconds. Not exact.

    Between the `get` and the `set` others read the same number: of twenty requests at the same moment all may see «none yet».
    And each `set` begins the window anew, so a visitor who keeps trying is never let in again. Good enough against a mistake,
    not against a script.
    """
    hits = caches[ALIAS].get(name, 0) + 1
    caches[ALIAS].set(name, hits, timeout=window)
    return hits


# INCR and the expiry in one step. As two commands, a client that dies between them leaves a counter that never ends, and locks its
# visitor out for good. Nor must the expiry be set again by each hit.
_HIT = """
local hits = redis.call('INCR', KEYS[1])
if hits == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {hits, redis.call('PTTL', KEYS[1])}
"""


def hits_exact(name, window):
    """Counts a hit; returns how many there were in this window, and the seconds until it ends. Exact under any number of processes."""
    client = get_redis_connection(ALIAS)
    # The first call loads the script, the others send its digest (EVALSHA); after a restart it is loaded again.
    hits, milliseconds = client.register_script(_HIT)(keys=[caches[ALIAS].make_key(name)], args=[int(window * 1000)])
    return hits, max(milliseconds, 0) / 1000
