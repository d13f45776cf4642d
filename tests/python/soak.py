#!/usr/bin/env python3
"""All real clients at once while server and workers are killed, for as long as one likes; see `soak/` and docs/soak.md.

    tests/python/soak.py --minutes 30 --json report.json
    DJR_SERVER=/usr/bin/redis-server tests/python/soak.py --minutes 5

Makes the environments of the tests if they are not there. Without Node 20 and npm BullMQ is left out, and that is said. The exit status is 0
if nothing was lost, 1 if there were problems or a process was left behind.
"""

import os
import subprocess
import sys
import tempfile

import run


def node_packages():
    """Where tests/node has its packages, which are installed if they are not there."""
    command = ["node", run.HERE.parent / "node" / "run.js", "--packages"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    return done.stdout.splitlines()[-1] if done.returncode == 0 and done.stdout else None


def main(arguments):
    python = run.environment(run.HERE / "requirements.txt")
    run.stop_on_signals()
    minutes = float(arguments[arguments.index("--minutes") + 1]) if "--minutes" in arguments else 1
    # Starting and settling take a minute or two; whatever takes longer hangs.
    run.DEADLINE = minutes * 60 + 300
    if "--node" not in arguments:
        if node := node_packages():
            arguments += ["--node", node]
        else:
            print("!! WITHOUT BullMQ: it needs Node 20 or newer as `node`, and `npm`", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="djr-soak-", ignore_cleanup_errors=True) as scratch:
        try:
            return run.run([python, "-m", "soak", *arguments], run.environ(scratch))
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
