"""Clients that wait for elements of lists and die by kill -9 while they do: no element goes with them."""

import json
import random
import subprocess
import sys

import pytest

from harness.waiting import wait_until

# One element, told on the standard output: who is killed before that has not got it.
CONSUMER = """
import json, sys
import redis
client = redis.Redis.from_url(sys.argv[1])
key, element = client.blpop(json.loads(sys.argv[2]), timeout=0)
print(element.decode(), flush=True)
"""

KEYS = ["tasks:high", "tasks", "tasks:low"]


class Consumer:
    """A process that waits for one element."""

    def __init__(self, server):
        arguments = [sys.executable, "-c", CONSUMER, server.url(), json.dumps(KEYS)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    def kill9(self):
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()

    def element(self):
        output, _ = self.process.communicate(timeout=20)
        return output.strip()


@pytest.fixture(params=["always", "everysec"])
def server(make_server, request):
    return make_server(appendfsync=request.param)


def await_waiting(client, count):
    wait_until(lambda: client.info("clients")["blocked_clients"] == count, what=f"{count} waiting clients")


def left(client):
    return [element.decode() for key in KEYS for element in client.lrange(key, 0, -1)]


def test_elements_outlive_the_clients_that_waited_for_them(server):
    chance = random.Random(str(server.appendfsync))
    client = server.client()
    number = 0
    for round_number in range(8):
        consumers = [Consumer(server) for _ in range(5)]
        try:
            await_waiting(client, len(consumers))
            chance.shuffle(consumers)
            dying, living = consumers[:3], consumers[3:]
            for consumer in dying:
                consumer.kill9()
            # At once: the server may not have noticed yet.
            pushed = []
            for _ in consumers:
                number += 1
                client.rpush(chance.choice(KEYS), number)
                pushed.append(str(number))
            received = [consumer.element() for consumer in living]
            wait_until(
                lambda: sorted(received + left(client), key=int) == pushed,
                what="every element, with a client or in its list",
            )
            await_waiting(client, 0)
            if round_number % 4 == 3:
                # What went back is in the log, too.
                kept = left(client)
                server.kill9()
                server.restart()
                client = server.client()
                assert left(client) == kept
            client.delete(*KEYS)
        finally:
            for consumer in consumers:
                consumer.kill9()

