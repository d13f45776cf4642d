"""The soak (`soak/`), for some seconds: that it works, and that nothing is lost in it. `cargo xtask soak` runs it for long."""

import json

import pytest

from harness.programs import Program


@pytest.mark.timeout(240)
def test_everything_at_once_under_kills(tmp_path):
    report = tmp_path / "report.json"
    arguments = ["-m", "soak", "--minutes", "0.4", "--interval", "3", "--json", report, "--keep", tmp_path / "soak"]
    program = Program(tmp_path / "soak.log", arguments)
    try:
        status = program.wait(220)
    finally:
        program.close()
    assert status == 0, program.tail(80)
    found = json.loads(report.read_text())
    assert found["verdict"] == "clean"
    assert found["kills"]["kill -9"] + found["kills"]["clean stops"] >= 3
    assert all(figures["acknowledged"] > 0 for figures in found["queues"].values())
