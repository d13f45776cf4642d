"""What people build with redis-py: streams with groups, locks, reliable queues, limits, messages; and the chores of an operator."""

import asyncio
import threading
import time

import redis
from channels_redis.core import RedisChannelLayer

from .journal import DB, short
from .world import Load

CHANNELS_DB, JUNK_DBS = 4, (14, 15)


class StreamJobs(Load):
    """Numbers through a stream: each that was acknowledged is handed to a consumer of the group until it says that it is done."""

    rate = 60
    STREAM, GROUP = "jobs", "workers"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.sent = set()
        self.processed = set()
        self.number = 0
        self.lock = threading.Lock()
        self.consumers = [Consumer(world, f"{name}-consumer{number}", self) for number in range(2)]
        self.client.xgroup_create(self.STREAM, self.GROUP, id="0", mkstream=True)

    def step(self):
        self.number += 1
        self.uncertain += 1
        self.client.xadd(self.STREAM, {"n": self.number})
        self.uncertain -= 1
        with self.lock:
            self.sent.add(self.number)
            done = self.sent & self.processed
            self.sent -= done
            self.processed -= done
        self.acknowledged += 1

    def drained(self):
        with self.lock:
            return not self.sent - self.processed

    def verify(self):
        missing = self.sent - self.processed
        self.check(not missing, lambda: f"{len(missing)} entries never came: {short(sorted(missing))}")
        pending = self.client.xpending(self.STREAM, self.GROUP)["pending"]
        self.check(pending == 0 and self.client.xlen(self.STREAM) == 0, f"{pending} entries are still pending")


class Consumer(Load):
    """One consumer of the group; after a lost connection it begins with what it had not acknowledged."""

    rate = 200

    def __init__(self, world, name, jobs):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.jobs = jobs
        self.start_id = "0"

    def step(self):
        reply = self.client.xreadgroup(self.jobs.GROUP, self.name, {self.jobs.STREAM: self.start_id}, count=20, block=300)
        found = reply.get(self.jobs.STREAM) if isinstance(reply, dict) else reply and reply[0][1]
        # RESP3 wraps the entries once more.
        if found and isinstance(found[0], list) and found[0] and isinstance(found[0][0], (list, tuple)):
            found = found[0]
        if not found:
            self.start_id = ">"
            return
        for entry, fields in found:
            with self.jobs.lock:
                # Deleted, but not acknowledged, would come as an entry without fields: both are one transaction.
                if self.check(fields, f"{entry} is pending and deleted"):
                    self.jobs.processed.add(int(fields["n"]))
            with self.client.pipeline(transaction=True) as pipe:
                acknowledged, deleted = (
                    pipe.xack(self.jobs.STREAM, self.jobs.GROUP, entry).xdel(self.jobs.STREAM, entry).execute()
                )
            self.check(acknowledged == deleted == 1, f"{entry} was acknowledged {acknowledged} and deleted {deleted} times")
            self.acknowledged += 1
        if self.start_id != ">":
            self.start_id = "0"

    def recover(self):
        self.uncertain += 1
        self.start_id = "0"
        self.client.ping()

    def end(self):
        """What is left, until nothing is."""
        self.start_id = "0"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (self.start_id == ">" and self.client.xlen(self.jobs.STREAM) == 0):
            self.step()


class Locks(Load):
    """redis-py's lock, contended: two never hold it, and what is written under it is never overwritten by another one."""

    rate = 50
    LIFETIME = 5
    inside = None
    guard = threading.Lock()

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.lock = None

    def step(self):
        self.lock = self.client.lock("mutex", timeout=self.LIFETIME, blocking_timeout=2, sleep=0.02)
        if not self.lock.acquire():
            self.lock = None
            return
        began = time.monotonic()
        with self.guard:
            holder, Locks.inside = Locks.inside, (self.name, began)
        # A holder that was cut off may still believe that it holds it; its lifetime is over then.
        if holder is not None:
            self.check(began - holder[1] > self.LIFETIME - 1, f"{holder[0]} holds the lock as well")
        count = int(self.client.get("guarded") or 0)
        time.sleep(0.002)
        self.client.set("guarded", count + 1)
        found = int(self.client.get("guarded"))
        if time.monotonic() - began < self.LIFETIME - 1:
            self.check(found == count + 1, f"under the lock {count + 1} became {found}")
        self.leave()
        self.acknowledged += 1

    def leave(self):
        with self.guard:
            if Locks.inside and Locks.inside[0] == self.name:
                Locks.inside = None
        try:
            self.lock.release()
        except redis.exceptions.LockError:
            # It had run out while there was no server.
            pass
        self.lock = None

    def recover(self):
        if self.lock is not None:
            self.uncertain += 1
            if self.lock.local.token is None:
                # Whether it was acquired is not known; it ends by itself.
                self.lock = None
            else:
                self.leave()


class HandOver(Load):
    """A reliable queue: BLMOVE into a list of the consumer's own, LREM when it is done. Nothing may be lost on the way."""

    rate = 80

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client, self.taker_client = world.client(DB), world.client(DB)
        self.queue, self.mine = f"{name}:queue", f"{name}:taken"
        self.number = 0
        self.sent, self.seen = set(), set()
        self.taker = Taker(world, f"{name}-taker", self)

    def step(self):
        self.number += 1
        self.uncertain += 1
        self.client.lpush(self.queue, self.number)
        self.uncertain -= 1
        self.sent.add(self.number)
        self.acknowledged += 1
        if len(self.sent) > 1000:
            done = {number for number in self.sent if number in self.seen}
            self.sent -= done
            for number in done:
                self.seen.discard(number)

    def drained(self):
        return not self.sent - self.seen

    def verify(self):
        missing = self.sent - self.seen
        self.check(not missing, lambda: f"{len(missing)} elements never came: {short(sorted(missing))}")
        self.check(self.client.exists(self.queue, self.mine) == 0, "elements are left")


class Taker(Load):
    rate = 200

    def __init__(self, world, name, hand_over):
        super().__init__(world, name)
        self.client, self.of = world.client(DB), hand_over

    def step(self):
        element = self.client.blmove(self.of.queue, self.of.mine, 0.3, "RIGHT", "LEFT")
        if element is not None:
            self.take(element)

    def take(self, element):
        self.of.seen.add(int(element))
        removed = self.client.lrem(self.of.mine, 1, element)
        self.check(removed == 1, f"{element} was taken, and is not in the list")
        self.acknowledged += 1

    def recover(self):
        self.uncertain += 1
        for element in self.client.lrange(self.of.mine, 0, -1):
            self.take(element)

    def end(self):
        self.recover()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.client.llen(self.of.queue):
            self.step()


class Limits(Load):
    """The rate limiter of the example: INCR with expiry in a script. A counter never goes back, and always ends."""

    rate = 60
    WINDOW = 700
    SCRIPT = """
        local hits = redis.call('INCR', KEYS[1])
        if hits == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
        return {hits, redis.call('PTTL', KEYS[1])}
    """

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.script = self.client.register_script(self.SCRIPT)
        self.hits, self.last = 0, 0.0
        self.known = True

    def step(self):
        began = time.monotonic()
        hits, left = self.script(keys=[f"{self.name}:short"], args=[self.WINDOW])
        self.check(0 <= left <= self.WINDOW, f"{left} ms are left of {self.WINDOW}")
        if hits != 1 and self.known:
            self.check(hits == self.hits + 1, f"{self.hits} hits were followed by {hits}")
        if hits == 1 and self.hits:
            age = time.monotonic() - self.last
            self.check(age * 1000 >= self.WINDOW - 100, f"a window ended after {age:.3f} s")
        if hits == 1:
            self.last = began
        self.hits, self.known = hits, True
        self.acknowledged += 1

    def recover(self):
        # Whether the last hit was counted is not known, nor whether it began a window.
        self.uncertain += 1
        self.known, self.hits = False, 0


class Messages(Load):
    """PUBLISH and SUBSCRIBE: at most once, but in order, and only what was sent."""

    rate = 50

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client, self.listener = world.client(DB), world.client(DB)
        self.subscription = None
        self.number = self.last = self.received = 0

    def step(self):
        if self.subscription is None:
            self.subscription = self.listener.pubsub(ignore_subscribe_messages=True)
            self.subscription.subscribe("news")
            self.subscription.get_message(timeout=1)
        self.number += 1
        self.client.publish("news", self.number)
        self.acknowledged += 1
        while message := self.subscription.get_message(timeout=0):
            number = int(message["data"])
            self.check(self.last < number <= self.number, f"{number} came after {self.last}")
            self.last = number
            self.received += 1

    def recover(self):
        if self.subscription is not None:
            self.subscription.close()
            self.subscription = None

    def verify(self):
        pass

    def figures(self):
        return super().figures() | {"received": self.received}


class Channels(Load):
    """channels_redis: messages to a channel and through a group; at most once, in order."""

    rate = 30

    def __init__(self, world, name):
        super().__init__(world, name)
        self.loop = asyncio.new_event_loop()
        # What channels_redis does behind our back fails, too, when the server is killed.
        self.loop.set_exception_handler(lambda loop, context: None)
        self.layer = None
        self.channel = None
        self.number = self.last = self.received = 0

    def step(self):
        self.loop.run_until_complete(asyncio.wait_for(self.talk(), 40))

    async def talk(self):
        if self.layer is None:
            host = {"address": self.world.server.url(CHANNELS_DB), "socket_timeout": 30}
            self.layer = RedisChannelLayer(hosts=[host], capacity=10_000)
            self.channel = await self.layer.new_channel()
            await self.layer.group_add("room", self.channel)
        self.number += 1
        message = {"type": "n", "number": self.number}
        if self.number % 2:
            await self.layer.send(self.channel, message)
        else:
            await self.layer.group_send("room", message)
        self.acknowledged += 1
        while self.last < self.number:
            try:
                number = (await asyncio.wait_for(self.layer.receive(self.channel), 10))["number"]
            except asyncio.TimeoutError:
                self.world.problem(self.name, f"{self.number} was sent and does not come")
                return
            self.check(self.last < number <= self.number, f"{number} came after {self.last}")
            self.last = number
            self.received += 1

    def recover(self):
        if self.layer is not None:
            self.uncertain += 1
            layer, self.layer = self.layer, None
            self.loop.run_until_complete(layer.close_pools())
            # What was on its way to the old channel stays there until it expires.
            self.last = self.number

    def verify(self):
        pass

    def figures(self):
        return super().figures() | {"received": self.received}


class Chores(Load):
    """What an operator and cron do meanwhile: snapshots, rewrites, other settings, dbs that are filled, swapped and emptied."""

    rate = 2

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(JUNK_DBS[0])

    def step(self):
        draw = self.random.random()
        try:
            if draw < 0.3:
                self.client.bgrewriteaof()
                self.world.count("rewrites asked for")
            elif draw < 0.6:
                self.client.bgsave()
                self.world.count("snapshots asked for")
            elif draw < 0.7:
                self.client.config_set("appendfsync", self.random.choice(["always", "everysec"]))
            elif draw < 0.8:
                with self.client.pipeline(transaction=False) as pipe:
                    for number in range(2000):
                        pipe.set(f"junk:{number}", "z" * 100)
                    pipe.execute()
            elif draw < 0.9:
                self.client.swapdb(*JUNK_DBS)
            else:
                self.client.flushdb(asynchronous=True)
            self.acknowledged += 1
        except redis.ResponseError as error:
            # One at a time.
            if "in progress" not in str(error) and "already" not in str(error):
                raise

    def recover(self):
        self.client.ping()

    def verify(self):
        pass
