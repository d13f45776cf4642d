"""The server's memory: sampled while it lives, compared within the quiet part and from life to life; and its limits."""

import threading
from pathlib import Path

import redis

MIB = 1 << 20
# Of some two minutes.
JUDGED_SAMPLES = 200


class Memory:
    """Samples of resident memory, of the limits of memory classes, and of what was evicted."""

    def __init__(self, world):
        self.world = world
        self.samples = []
        self.evicted = {}
        self.most_used = {}
        self.life = 0
        self.pid = world.server.process.pid
        self.quiet_from = self.quiet_to = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._stop.set()

    def pause(self):
        self.pid = None

    def go_on(self, pid):
        self.life += 1
        self.pid = pid

    def quiet(self):
        self.quiet_from = self.world.seconds()

    def quiet_ends(self):
        self.quiet_to = self.world.seconds()

    def _run(self):
        with self.world.client(0) as client:
            while not self._stop.wait(0.5):
                pid = self.pid
                if pid is None:
                    continue
                try:
                    self.samples.append((self.world.seconds(), self.life, resident(pid)))
                    self._limits(client.info("memoryclasses"))
                except (OSError, redis.RedisError):
                    continue

    def _limits(self, found):
        for name, figures in found.items():
            if not name.startswith("memory_class_") or not isinstance(figures, dict):
                continue
            life = self.evicted.setdefault(name, {})
            life[self.life] = max(life.get(self.life, 0), int(figures.get("evicted_keys", 0)))
            used, limit = int(figures.get("used_memory", 0)), int(figures.get("maxmemory", 0))
            self.most_used[name] = max(self.most_used.get(name, 0), used)
            # A command in progress may be above it by what it writes.
            if limit and used > limit * 1.05 + MIB:
                self.world.problem("memory", f"{name} takes {used} bytes of {limit}")

    def figures(self):
        """For the report, and whether memory is flat."""
        lives = {}
        for second, life, size in self.samples:
            if self.quiet_from is None or second < self.quiet_from:
                lives.setdefault(life, []).append(size)
        peaks = [max(sizes) for _, sizes in sorted(lives.items())]
        third = len(peaks) // 3
        quiet = [size for second, _, size in self.samples if self.quiet_from and second >= self.quiet_from]
        quarter = max(1, len(quiet) // 4)
        figures = {
            "samples": len(self.samples),
            "most": mib(max(size for _, _, size in self.samples)),
            "peaks of lives, second third": mib(median(peaks[third : 2 * third])),
            "peaks of lives, last third": mib(median(peaks[2 * third :])),
            "quiet part, second quarter": mib(median(quiet[quarter : 2 * quarter])),
            "quiet part, last quarter": mib(median(quiet[3 * quarter :])),
            "evicted keys": {name.removeprefix("memory_class_"): sum(lives.values()) for name, lives in self.evicted.items()},
            "most used": {name.removeprefix("memory_class_"): mib(used) for name, used in self.most_used.items()},
        }
        return figures

    def judge(self, figures):
        """Growth that is more than noise is a problem. A process of which there are a few seconds only is still warming up."""
        if len(self.samples) < JUDGED_SAMPLES:
            return
        for before, after in (
            ("peaks of lives, second third", "peaks of lives, last third"),
            ("quiet part, second quarter", "quiet part, last quarter"),
        ):
            if figures[after] > figures[before] * 1.15 + 6:
                self.world.problem("memory", f"it grows: {before} {figures[before]} MiB, {after} {figures[after]} MiB")


def resident(pid):
    """Bytes, as Linux tells it; without what is mapped from files (the program itself, a base that is being loaded)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("no resident memory")


def median(values):
    return sorted(values)[len(values) // 2] if values else 0


def mib(size):
    return round(size / MIB, 1)
