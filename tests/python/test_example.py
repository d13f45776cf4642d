"""The example project (examples/django), started by its one command, used as a visitor does, its server killed in the middle."""

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import redis

from harness.live import Browser
from harness.programs import Program
from harness.server import REPOSITORY, binary
from harness.waiting import wait_until

EXAMPLE = REPOSITORY / "examples" / "django"
HOURGLASS, SEXTANT = 2, 4


class Shop:
    """The running example, and what it says."""

    def __init__(self, home):
        self.home = home
        arguments = [EXAMPLE / "run.py", "--no-venv", "--port", "0", "--server", binary(), "--data", home / "data"]
        environ = {"SHOP_BEAT_SECONDS": "1", "SHOP_VISIBILITY_SECONDS": "5", "SHOP_MAIL_FAILURES": "1", "SHOP_FORGOTTEN_SECONDS": "5"}
        self.program = Program(home / "shop.log", arguments, environ=environ)
        try:
            self.program.wait_for("the shop is open: http", " ready.", seconds=50)
        except BaseException:
            self.program.close()
            raise
        address = urlsplit(re.search(r"the shop is open: (\S+)", self.said()).group(1))
        self.address = (address.hostname, address.port)
        self.redis_port = int(re.search(r"transport:\s+redis://\S*?127\.0\.0\.1:(\d+)/0", self.said()).group(1))

    def said(self):
        return self.program.said()

    def kill_server(self):
        with redis.Redis(port=self.redis_port) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)

    def mails(self):
        """The number of mails to have gone out, by order."""
        orders = re.findall(r"^Subject: Your order (\d+)$", self.said(), re.MULTILINE)
        return {int(order): orders.count(order) for order in orders}


class Visitor(Browser):
    def post(self, path, **form):
        return super().post(path, csrfmiddlewaretoken=self.cookies["csrftoken"].value, **form)

    def log_in(self):
        self.get("/accounts/login/")
        assert self.post("/accounts/login/", username="ada", password="engine").status == 302

    def name(self):
        return self.get("/basket/count/").json()["user"]

    def buy(self, *products):
        for product in products:
            assert self.get(f"/product/{product}/").status == 200
            assert self.post("/basket/", product=product).status == 302
        self.get("/basket/")
        assert self.post("/order/").status == 302


@pytest.fixture(scope="module")
def shop(module_home):
    shop = Shop(module_home)
    yield shop
    # The worker acknowledges what it has done, and the server ends cleanly.
    try:
        assert shop.program.terminate(seconds=40) == 0, shop.program.tail()
        assert "Traceback" not in shop.said().split("run.py: closing")[1]
    finally:
        shop.program.close()


def made(page):
    return re.search(rb'id="made">([^<]+)<', page.body).group(1)


def test_the_catalogue_is_made_once_for_all(shop):
    first, second = Visitor(shop.address).get("/"), Visitor(shop.address).get("/")
    assert first.status == 200
    assert b"Pocket sextant" in first.body
    assert made(first) == made(second)


def test_looks_are_counted_one_by_one(shop):
    def look(_):
        page = Visitor(shop.address).get(f"/product/{SEXTANT}/")
        return int(re.search(rb'id="seen">(\d+)<', page.body).group(1))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(look, range(24))) == list(range(1, 25))


def test_an_order_is_mailed_after_a_retry_and_counted_by_beat(shop):
    visitor = Visitor(shop.address)
    assert visitor.name() is None
    visitor.log_in()
    assert visitor.name() == "ada"
    visitor.buy(HOURGLASS, SEXTANT)
    order = max(int(found) for found in re.findall(rb"<td>(\d+): ", visitor.get("/orders/").body))
    wait_until(lambda: shop.mails().get(order) == 1, seconds=20, what="the mail")
    wait_until(lambda: b"mail sent at" in visitor.get("/orders/").body, seconds=20)
    assert "the mail server is out for lunch" in shop.said(), "the first try fails"
    wait_until(lambda: (visitor.get("/sales/").json()["orders"] or 0) >= order, seconds=20, what="the sales")


def test_the_exact_limit_is_exact(shop):
    def call(path):
        return Visitor(shop.address).get(path, key="program").status

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(call, ["/api/products/"] * 40))
    assert (answers.count(200), answers.count(429)) == (10, 30)
    # The simple one lets more pass, but not for ever.
    assert [call("/api/simple/products/") for _ in range(12)][-1] == 429


def test_the_server_is_killed_in_the_middle(shop):
    visitor = Visitor(shop.address)
    visitor.log_in()
    before = max(shop.mails(), default=0)
    assert visitor.get("/product/1/").status == 200
    assert visitor.post("/basket/", product=1).status == 302
    others = [Visitor(shop.address) for _ in range(2)]
    for other in others:
        other.log_in()
        other.buy(HOURGLASS)
    shop.kill_server()
    # Nobody notices, but for a second's delay: still logged in, the basket as it was, and shopping goes on.
    assert visitor.get("/basket/count/").json() == {"count": 1, "user": "ada"}
    visitor.get("/basket/")
    assert visitor.post("/order/").status == 302
    for other in others:
        other.buy(HOURGLASS)
    assert "server was killed by signal 9" in shop.said()
    orders = set(range(before + 1, before + 6))
    wait_until(lambda: orders <= set(shop.mails()), seconds=40, what="all mails")
    assert all(shop.mails()[order] == 1 for order in orders)


def test_each_use_has_its_memory_class(shop):
    with redis.Redis(port=shop.redis_port) as client:
        if client.info("server").get("server_name") != "djr":
            pytest.skip("memory classes are DJR's")
        found = client.info("memoryclasses")
        for name in ("queue", "cache", "sessions", "limits"):
            assert found[f"memory_class_{name}"]["used_memory"] > 0, name
