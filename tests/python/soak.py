#!/usr/bin/env python3
"""All real clients at once while server and workers are killed, for as long as one likes; see `soak/` and docs/soak.md.

    tests/python/soak.py --minutes 30 --json report.json
    DJR_SERVER=/usr/bin/redis-server tests/python/soak.py --minutes 5

Makes the environment of the tests if it is not there. BullMQ takes part if tests/node/run.js has installed its packages. The exit status is 0
if nothing was lost, 1 if there were problems or a process was left behind.
"""

import os
import sys
import tempfile

import run


def node_packages():
    """Where tests/node has its packages, if it has."""
    homes = sorted((run.TARGET / "node-packages").glob("*/complete"), key=lambda path: path.stat().st_mtime)
    return homes[-1].parent if homes else None


def main(arguments):
    python = run.environment(run.HERE / "requirements.txt")
    run.stop_on_signals()
    minutes = float(arguments[arguments.index("--minutes") + 1]) if "--minutes" in arguments else 1
    # Starting and settling take a minute or two; whatever takes longer hangs.
    run.DEADLINE = minutes * 60 + 300
    if (node := node_packages()) is not None and "--node" not in arguments:
        arguments += ["--node", str(node)]
    with tempfile.TemporaryDirectory(prefix="djr-soak-", ignore_cleanup_errors=True) as scratch:
        try:
            return run.run([python, "-m", "soak", *arguments], run.environ(scratch))
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main(sys.argv[1:]))
