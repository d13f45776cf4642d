"""`djr-cli` as a test calls it."""

import json
import os
import re
import subprocess
from pathlib import Path

from harness.server import REPOSITORY


def program():
    """The program to test: `DJR_CLI`, else what cargo built last."""
    chosen = os.environ.get("DJR_CLI")
    if chosen:
        return chosen
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    found = [path for profile in ("release", "quick", "debug") if (path := target / profile / "djr-cli").is_file()]
    if not found:
        raise RuntimeError("no djr-cli to test: run `cargo build -p djr-cli`, or name one in DJR_CLI")
    return str(max(found, key=lambda path: path.stat().st_mtime))


class Cli:
    """Calls of `djr-cli` for one db of one server."""

    def __init__(self, url):
        self.arguments = [program(), "-u", url]

    def run(self, *words):
        """The whole outcome."""
        command = [*self.arguments, *(str(word) for word in words)]
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=30)

    def text(self, *words):
        """What it prints, which must have worked."""
        outcome = self.run(*words)
        assert outcome.returncode == 0, f"{words}: {outcome.stderr.decode(errors='replace')}"
        return outcome.stdout.decode()

    def json(self, *words):
        return json.loads(self.text(*words, "--json"))

    def table(self, *words):
        """The rows of a table, each as its columns by their headings."""
        lines = self.text(*words).splitlines()
        columns = re.split("  +", lines[0].strip())
        rows = []
        for line in lines[1:]:
            if not line.strip():
                break
            rows.append(dict(zip(columns, re.split("  +", line.strip(), maxsplit=len(columns) - 1))))
        return rows

    def watch(self, *words, times=2):
        """What `--watch` shows first, as so many JSON documents."""
        command = [*self.arguments, *(str(word) for word in words), "--json", "--watch", "0.05"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
            try:
                return [json.loads(process.stdout.readline()) for _ in range(times)]
            finally:
                process.kill()
