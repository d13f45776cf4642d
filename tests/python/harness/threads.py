"""Running functions at the same time."""

import threading

from project.caches import disconnect_this_thread


def run_all(functions, *, seconds=40):
    """Runs each function in a thread of its own, all starting together, and returns what they returned.

    Raises the first exception of any.
    """
    gate = threading.Barrier(len(functions))
    results = [None] * len(functions)
    errors = []

    def guarded(index, function):
        try:
            gate.wait(seconds)
            results[index] = function()
        except BaseException as error:
            errors.append(error)
        finally:
            disconnect_this_thread()

    threads = [threading.Thread(target=guarded, args=pair, daemon=True) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads), f"still running after {seconds} s"
    return results
