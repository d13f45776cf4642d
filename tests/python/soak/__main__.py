"""`python -m soak`, in the environment of the tests: see `tests/python/soak.py`, which sets it up."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the data, and of the times of the kills")
    parser.add_argument("--interval", type=float, default=4, help="seconds between two kills, about")
    parser.add_argument("--json", type=Path, help="write the report there, too")
    parser.add_argument("--node", type=Path, help="the packages of tests/node")
    parser.add_argument("--keep", type=Path, help="keep data and logs in this new directory")
    return parser.parse_args()


def main(options, home):
    os.environ["DJR_TEST_SQLITE"] = str(home / "project.sqlite3")
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    import django

    django.setup()
    from . import chaos, report

    seconds = options.minutes * 60
    # Of a long run, some minutes of calm show whether memory grows in a life that is not cut short.
    quiet = min(300, seconds * 0.25)
    print(f"soak: {options.minutes:g} minutes with seed {options.seed}, in {home}", flush=True)
    run = chaos.run(
        home,
        seconds=seconds - quiet,
        quiet=quiet,
        seed=options.seed,
        interval=options.interval,
        node=options.node,
    )
    found = report.data(run, minutes=options.minutes, seed=options.seed)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(report.text(found), flush=True)
    return 0 if found["verdict"] == "clean" else 1


if __name__ == "__main__":
    chosen = arguments()
    if chosen.keep:
        chosen.keep.mkdir(parents=True)
        sys.exit(main(chosen, chosen.keep.resolve()))
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as scratch:
        sys.exit(main(chosen, Path(scratch)))
