"""Waiting for something to become true, with a deadline instead of a guessed sleep."""

import time


def wait_until(condition, *, seconds=10.0, what="the condition"):
    """Calls `condition` until it returns something true, and returns that; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


class Lifetime:
    """Checks that something with a lifetime disappears, and not before its time.

    Create it before the write, so that the clock starts no later than the server's:

        lifetime = Lifetime(seconds=1)
        cache.set("k", "v", timeout=1)
        lifetime.ends_when(lambda: cache.get("k") is None)
    """

    # The server stamps a command with a clock that it reads in milliseconds and not for each command.
    TOLERANCE = 0.05

    def __init__(self, *, seconds):
        self.seconds = seconds
        self.started = time.monotonic()

    def ends_when(self, gone):
        wait_until(gone, seconds=self.seconds + 10, what=f"the end of a life of {self.seconds} s")
        lived = time.monotonic() - self.started
        assert lived >= self.seconds - self.TOLERANCE, f"gone after {lived:.3f} s of {self.seconds} s"
