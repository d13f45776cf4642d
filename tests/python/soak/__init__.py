"""All real clients at once, for minutes or hours, while servers and workers are killed: nothing acknowledged may be missing.

`cargo xtask soak --minutes 30` runs it; `chaos.py` kills, `loads` work and know what they may find, `evidence.py` looks after the
tasks of queues, `report.py` tells.
"""
