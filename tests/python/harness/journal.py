"""Writers that record what was acknowledged, and the check of what a restarted server still holds.

Each writer has keys of its own and one command under way at a time, so the state after each of its commands is known. What the
server holds after a crash must be the state after some command; and for «nothing acknowledged is lost», after the last
acknowledged one or the one that was under way.
"""

import random
import threading

MISSING = object()


class Writer(threading.Thread):
    """Sets, counts and deletes through a Django cache until the server is gone."""

    KEYS = 12

    def __init__(self, cache, name, seed):
        super().__init__(name=name, daemon=True)
        self._cache = cache
        self._random = random.Random(f"{seed} {name}")
        self._stopping = threading.Event()
        # What each command made of its key: the value, or MISSING.
        self.history = []
        self.acknowledged = 0
        self.error = None
        # What the keys held before the first command of the history.
        self.before = {}

    @property
    def keys(self):
        return [f"{self.name}:{number}" for number in range(self.KEYS)] + [self._counter]

    @property
    def _counter(self):
        return f"{self.name}:count"

    def run(self):
        state = dict(self.before)
        while not self._stopping.is_set():
            key, value, command = self._next(state)
            self.history.append((key, value))
            try:
                command()
            except AssertionError:
                raise
            except Exception as error:  # whatever a client makes of a killed server
                self.error = error
                return
            self.acknowledged += 1
            if value is MISSING:
                state.pop(key, None)
            else:
                state[key] = value

    def stop(self):
        self._stopping.set()

    def _next(self, state):
        """The next command: (key, what the key holds after it, the call)."""
        kind = self._random.random()
        key = f"{self.name}:{self._random.randrange(self.KEYS)}"
        if kind < 0.25:
            key = self._counter
            count = state.get(key)
            if count is None:
                return key, 1, lambda: self._cache.set(key, 1, timeout=None)
            return key, count + 1, lambda: self._cache.incr(key)
        if kind < 0.35:
            return key, MISSING, lambda: self._cache.delete(key)
        # Mostly small, sometimes large enough that a kill can hit the middle of the write.
        size = 200_000 if kind > 0.98 else self._random.randrange(200)
        value = (len(self.history), self._random.randbytes(size))
        timeout = self._random.choice([None, 600, 3600])
        return key, value, lambda: self._cache.set(key, value, timeout=timeout)

    def lost(self, found):
        """How many acknowledged commands `found` (a dict, as from `get_many`) lacks.

        Fails if `found` is no state that the keys were ever in.
        """
        states = [dict(self.before)]
        for key, value in self.history:
            state = dict(states[-1])
            if value is MISSING:
                state.pop(key, None)
            else:
                state[key] = value
            states.append(state)
        for length in range(len(states) - 1, -1, -1):
            if states[length] == found:
                return max(0, self.acknowledged - length)
        raise AssertionError(
            f"{self.name}: the server holds a state that never was; against the last acknowledged one: "
            + _difference(states[self.acknowledged], found)
        )


def _difference(expected, found):
    parts = []
    for key in sorted(expected.keys() | found.keys()):
        left, right = expected.get(key, "nothing"), found.get(key, "nothing")
        if left != right:
            parts.append(f"{key}: {str(left)[:60]} expected, {str(right)[:60]} found")
    return "; ".join(parts)
