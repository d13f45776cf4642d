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
                    found = client.info("everything")
                    self.samples.append((self.world.seconds(), self.life, resident(pid), int(found["used_memory"])))
                    self._limits(found)
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
        lives, quiet = {}, []
        for second, life, *sizes in self.samples:
            if self.quiet_from is None or second < self.quiet_from:
                lives.setdefault(life, []).append(sizes)
            else:
                quiet.append(sizes)
        peaks = [[max(sizes) for sizes in zip(*life, strict=True)] for _, life in sorted(lives.items())]
        third, quarter = len(peaks) // 3, max(1, len(quiet) // 4)
        figures = {
            "samples": len(self.samples),
            "most": mib(max(size for _, _, size, _ in self.samples)),
            # Of each: what is resident, and what the server says that it uses.
            "peaks of lives, second third": medians(peaks[third : 2 * third]),
            "peaks of lives, last third": medians(peaks[2 * third :]),
            "quiet part, second quarter": medians(quiet[quarter : 2 * quarter]),
            "quiet part, last quarter": medians(quiet[3 * quarter :]),
            "evicted keys": {name.removeprefix("memory_class_"): sum(lives.values()) for name, lives in self.evicted.items()},
            "most used": {name.removeprefix("memory_class_"): mib(used) for name, used in self.most_used.items()},
        }
        return figures

    def judge(self, figures):
        """Growth that is more than noise, and more than that of the data, is a problem. A process of which there are a few seconds only is
        still warming up.
        """
        if len(self.samples) < JUDGED_SAMPLES:
            return
        for before, after in (
            ("peaks of lives, second third", "peaks of lives, last third"),
            ("quiet part, second quarter", "quiet part, last quarter"),
        ):
            (resident_before, used_before), (resident_after, used_after) = figures[before], figures[after]
            # Data in many small values take more than their own size.
            by_data = max(0, used_after - used_before) * 1.5
            if resident_after > resident_before * 1.15 + 6 + by_data:
                self.world.problem(
                    "memory",
                    f"it grows: {before} {resident_before} MiB with {used_before} in use, {after} {resident_after} MiB with {used_after}",
                )


def resident(pid):
    """Bytes, as Linux tells it; without what is mapped from files (the program itself, a base that is being loaded)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("no resident memory")


def median(values):
    return sorted(values)[len(values) // 2] if values else 0


def medians(samples):
    """What is resident and what is used, in MiB."""
    return [mib(median(sizes)) for sizes in zip(*samples, strict=True)] or [0, 0]


def mib(size):
    return round(size / MIB, 1)
