"""Writers through redis-py that know, for each of their keys, what the server must hold.

Each has keys of its own and one command under way at a time. If the connection is lost, the keys must be as before the command or as
after it, as a whole, and from then on that is what they are.
"""

import time

from .world import Load

DB = 8


class Journal(Load):
    """Commands on strings, counters, lists, hashes, sets, sorted sets and streams, transactions and pipelines."""

    rate = 150
    KEYS = 6

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.state = {}
        # The outcomes that the command under way may have had: what each key that it touches would hold.
        self.pending = None

    def key(self, kind, number=None):
        number = self.random.randrange(self.KEYS) if number is None else number
        return f"{self.name}:{kind}:{number}"

    # What the server holds

    def read(self, key):
        kind = key.split(":")[1]
        return getattr(self, f"read_{kind}")(key)

    def read_string(self, key):
        with self.client.pipeline(transaction=True) as pipe:
            value, deadline = pipe.get(key).pexpiretime(key).execute()
        return None if value is None else (value, deadline)

    def read_count(self, key):
        value = self.client.get(key)
        return None if value is None else int(value)

    def read_list(self, key):
        return tuple(self.client.lrange(key, 0, -1)) or None

    def read_hash(self, key):
        return self.client.hgetall(key) or None

    def read_set(self, key):
        return frozenset(self.client.smembers(key)) or None

    def read_sorted(self, key):
        return {member: score for member, score in self.client.zrange(key, 0, -1, withscores=True)} or None

    def read_stream(self, key):
        return tuple((entry, fields["n"]) for entry, fields in self.client.xrange(key)) or None

    # The loop

    def step(self):
        kind = self.random.choice(
            ["string", "string", "count", "list", "list", "hash", "set", "sorted", "stream", "transfer", "pipeline", "script", "look"]
        )
        call, outcomes, *chooses = getattr(self, f"do_{kind}")()
        self.pending = outcomes
        reply = call()
        outcome = chooses[0](reply) if chooses else outcomes[-1]
        self.pending = None
        self.acknowledged += 1
        self.state.update(outcome)

    def recover(self):
        if self.pending is not None:
            found = {key: self.read(key) for key in self.pending[0]}
            fits = [outcome for outcome in self.pending if outcome == found]
            self.check(
                fits,
                lambda: f"neither as before nor as after the command: {short(found)}, expected one of {short(self.pending)}",
            )
            self.state.update(found)
            self.uncertain += 1
            self.pending = None
        for key, expected in self.state.items():
            found = self.read(key)
            if not self.check(found == expected, lambda: f"{key} holds {short(found)}, acknowledged was {short(expected)}"):
                # Told once.
                self.state[key] = found

    # The commands: each returns the call, the possible outcomes (the last one is that of success), and how the reply chooses

    def text(self):
        draw = self.random.random()
        size = 150_000 if draw > 0.995 else 3_000 if draw > 0.95 else self.random.randrange(120)
        return self.random.randbytes((size + 1) // 2).hex()

    def do_string(self):
        key, value = self.key("string"), self.text()
        before = {key: self.state.get(key)}
        draw = self.random.random()
        if draw < 0.2:
            return lambda: self.client.delete(key), [before, {key: None}]
        if draw < 0.6:
            deadline = int(time.time() * 1000) + 86_400_000 + self.random.randrange(1_000_000)
            return lambda: self.client.set(key, value, pxat=deadline), [before, {key: (value, deadline)}]
        if draw < 0.8 and before[key]:
            old, deadline = before[key]
            return lambda: self.client.append(key, "+"), [before, {key: (old + "+", deadline)}]
        return lambda: self.client.set(key, value), [before, {key: (value, -1)}]

    def do_count(self):
        key = self.key("count")
        before = self.state.get(key)
        by = self.random.randrange(-5, 20)
        after = (before or 0) + by

        def call():
            reply = self.client.incrby(key, by)
            self.check(reply == after, f"INCRBY {key} answered {reply}, not {after}")

        return call, [{key: before}, {key: after}]

    def do_list(self):
        key = self.key("list")
        before = self.state.get(key) or ()
        draw = self.random.random()
        if len(before) > 300 or (before and draw < 0.1):
            after = before[len(before) // 2 :]
            return lambda: self.client.ltrim(key, len(before) // 2, -1), [{key: before or None}, {key: after or None}]
        if before and draw < 0.4:
            left = draw < 0.25

            def call():
                reply = self.client.lpop(key) if left else self.client.rpop(key)
                expected = before[0] if left else before[-1]
                self.check(reply == expected, f"a pop of {key} answered {short(reply)}, not {short(expected)}")

            return call, [{key: before}, {key: (before[1:] if left else before[:-1]) or None}]
        new = tuple(self.text() for _ in range(self.random.randrange(1, 6)))
        if draw < 0.6:
            return lambda: self.client.lpush(key, *new), [{key: before or None}, {key: (*reversed(new), *before)}]
        return lambda: self.client.rpush(key, *new), [{key: before or None}, {key: before + new}]

    def do_hash(self):
        key = self.key("hash")
        before = self.state.get(key) or {}
        if before and self.random.random() < 0.35:
            gone = self.random.sample(sorted(before), min(len(before), self.random.randrange(1, 8)))
            after = {field: value for field, value in before.items() if field not in gone}
            return lambda: self.client.hdel(key, *gone), [{key: before}, {key: after or None}]
        new = {f"field {self.random.randrange(700)}": self.text()[:200] for _ in range(self.random.randrange(1, 6))}
        return lambda: self.client.hset(key, mapping=new), [{key: before or None}, {key: before | new}]

    def do_set(self):
        key = self.key("set")
        before = self.state.get(key) or frozenset()
        if before and self.random.random() < 0.4:
            # The server draws: its log must say what it drew.
            outcomes = [{key: before}] + [{key: (before - {member}) or None} for member in before]
            return lambda: self.client.spop(key), outcomes, lambda reply: {key: (before - {reply}) or None}
        numbers = self.random.random() < 0.7
        new = {str(self.random.randrange(900)) if numbers else self.text()[:30] + "." for _ in range(5)}
        return lambda: self.client.sadd(key, *new), [{key: before or None}, {key: before | new}]

    def do_sorted(self):
        key = self.key("sorted")
        before = self.state.get(key) or {}
        draw = self.random.random()
        if before and draw < 0.35:
            lowest = min(before.items(), key=lambda item: (item[1], item[0]))

            def call():
                reply = self.client.zpopmin(key, 1)
                self.check([tuple(pair) for pair in reply] == [lowest], f"ZPOPMIN {key} answered {reply}, not {lowest}")

            after = {member: score for member, score in before.items() if member != lowest[0]}
            return call, [{key: before}, {key: after or None}]
        member, score = f"member {self.random.randrange(400)}", self.random.randrange(10_000) / 4
        if draw < 0.5:
            return lambda: self.client.zincrby(key, score, member), [
                {key: before or None},
                {key: before | {member: before.get(member, 0.0) + score}},
            ]
        return lambda: self.client.zadd(key, {member: score}), [{key: before or None}, {key: before | {member: score}}]

    def do_stream(self):
        key = self.key("stream")
        before = self.state.get(key) or ()
        if len(before) > 400:
            return lambda: self.client.xtrim(key, maxlen=100, approximate=False), [{key: before}, {key: before[-100:]}]
        if before and self.random.random() < 0.2:
            gone = self.random.choice(before)
            after = tuple(entry for entry in before if entry != gone)
            # An empty stream remembers its last id, and so it may be there or not: one entry stays.
            if after:
                return lambda: self.client.xdel(key, gone[0]), [{key: before}, {key: after}]
        # The id is ours: with `*` the outcome of a cut command could not be known.
        last = int(before[-1][0].split("-")[0]) if before else 0
        entry = (f"{max(last + 1, int(time.time() * 1000))}-1", str(self.acknowledged))
        return lambda: self.client.xadd(key, {"n": entry[1]}, id=entry[0]), [{key: before or None}, {key: (*before, entry)}]

    def do_transfer(self):
        """Two counters and a list in one transaction: all or nothing."""
        one, other, listing = self.key("count", 0), self.key("count", 1), self.key("list", 0)
        before = {key: self.state.get(key) for key in (one, other, listing)}
        amount = self.random.randrange(1, 100)
        after = {
            one: (before[one] or 0) - amount,
            other: (before[other] or 0) + amount,
            listing: (*(before[listing] or ()), str(amount)),
        }

        def call():
            with self.client.pipeline(transaction=True) as pipe:
                pipe.decrby(one, amount).incrby(other, amount).rpush(listing, amount).execute()

        return call, [before, after]

    def do_pipeline(self):
        """Several commands at once: some first ones may have been executed, never a later one without an earlier one."""
        keys = [self.key("count", number) for number in range(self.KEYS)]
        outcomes = [{key: self.state.get(key) for key in keys}]
        for key in keys:
            outcomes.append(outcomes[-1] | {key: (outcomes[-1][key] or 0) + 1})

        def call():
            with self.client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.incr(key)
                pipe.execute()

        return call, outcomes

    def do_script(self):
        """A script that writes two keys."""
        one, other = self.key("count", 2), self.key("hash", 2)
        before = {one: self.state.get(one), other: self.state.get(other)}
        count = (before[one] or 0) + 1
        after = {one: count, other: (before[other] or {}) | {"script": str(count)}}
        script = "local n = redis.call('INCR', KEYS[1]) redis.call('HSET', KEYS[2], 'script', n) return n"
        return lambda: self.client.eval(script, 2, one, other), [before, after]

    def do_look(self):
        """Reads a key while others write."""
        if not self.state:
            return lambda: None, [{}]
        key = self.random.choice(sorted(self.state))
        expected = self.state[key]

        def call():
            found = self.read(key)
            self.check(found == expected, lambda: f"{key} reads {short(found)}, not {short(expected)}")

        return call, [{key: expected}]


class Big(Load):
    """A hash of many fields, so that snapshots and rewrites are always in the middle of it."""

    rate = 100
    FIELDS = 20_000

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.fields = {}
        self.pending = {}

    def step(self):
        new = {f"f{self.random.randrange(self.FIELDS)}": str(self.random.random()) for _ in range(20)}
        self.pending = new
        self.client.hset("big", mapping=new)
        self.pending = {}
        self.fields.update(new)
        self.acknowledged += 1

    def recover(self):
        if self.pending:
            names = list(self.pending)
            found = dict(zip(names, self.client.hmget("big", names)))
            before = {name: self.fields.get(name) for name in names}
            self.check(found in (before, self.pending), lambda: f"HSET done by half: {short(found)}")
            self.fields.update({name: value for name, value in found.items() if value is not None})
            self.uncertain += 1
            self.pending = {}
        names = self.random.sample(sorted(self.fields), min(len(self.fields), 500))
        if names:
            found = dict(zip(names, self.client.hmget("big", names)))
            wrong = [name for name in names if found[name] != self.fields[name]]
            self.check(not wrong, lambda: f"{len(wrong)} of {len(names)} fields are wrong, such as {wrong[:3]}")

    def verify(self):
        self.recover()
        found = self.client.hgetall("big")
        self.check(found == self.fields, lambda: f"{len(found)} fields, acknowledged were {len(self.fields)}; or other values")


class Lifetimes(Load):
    """Keys and fields that end soon: there before their time, gone after it, also if that passed while there was no server."""

    rate = 60
    # Between the clock that a command is stamped with and ours.
    SLACK = 100

    def __init__(self, world, name):
        super().__init__(world, name)
        self.client = world.client(DB)
        self.deadlines = {}
        self.number = 0

    def now(self):
        return int(time.time() * 1000)

    def step(self):
        self.number += 1
        key = f"{self.name}:{self.number}"
        deadline = self.now() + self.random.choice([300, 1000, 3000, 10_000])
        self.client.set(key, "x", pxat=deadline)
        self.deadlines[key] = deadline
        self.acknowledged += 1
        self.look(self.random.sample(sorted(self.deadlines), min(len(self.deadlines), 10)))

    def look(self, keys):
        if not keys:
            return
        before = self.now()
        values = self.client.mget(keys)
        after = self.now()
        for key, value in zip(keys, values):
            deadline = self.deadlines[key]
            if value is None:
                self.check(after >= deadline - self.SLACK, lambda: f"{key} went {deadline - after} ms too early")
                if after >= deadline:
                    del self.deadlines[key]
            else:
                self.check(before <= deadline + self.SLACK, lambda: f"{key} is there {before - deadline} ms after its end")

    def recover(self):
        keys = sorted(self.deadlines)
        for start in range(0, len(keys), 500):
            self.look(keys[start : start + 500])

    def verify(self):
        self.recover()


def short(value):
    text = repr(value)
    return text if len(text) < 400 else f"{text[:200]} … {text[-200:]}"
