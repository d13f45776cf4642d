"""Applications of task queues, as their documentations write them. A worker runs them, and the tests import them to send tasks.

Where the server is, and where tasks note that they ran, the environment says (`DJR_TEST_URL`, `DJR_TEST_LEDGER`).
"""

import os
from pathlib import Path


def note(entry):
    """Writes a line into the ledger; lines of several processes don't mix."""
    with open(os.environ["DJR_TEST_LEDGER"], "a") as ledger:
        ledger.write(f"{entry}\n")


def noted(entry):
    """How often that line is in the ledger."""
    return Path(os.environ["DJR_TEST_LEDGER"]).read_text().split().count(str(entry))
