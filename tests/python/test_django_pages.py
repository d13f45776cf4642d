"""`cache_page`, sessions with login and logout, and rate limiting, in a whole Django project."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client

from harness.live import Browser, live_site
from harness.waiting import Lifetime
from project.caches import raw_client

pytestmark = pytest.mark.usefixtures("site_cache")


# cache_page


def test_a_page_is_made_once(site_cache):
    first = Client().get("/page/minute/")
    second = Client().get("/page/minute/")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    other = Client().get("/page/minute/?other=query")
    assert other.content != first.content
    site_cache.clear()
    assert Client().get("/page/minute/").content != first.content


def test_a_page_expires():
    life = Lifetime(seconds=1)
    first = Client().get("/page/second/").content
    life.ends_when(lambda: Client().get("/page/second/").content != first)


def test_the_entries_of_a_page_expire_together_with_it(site_cache):
    Client().get("/page/minute/")
    raw = raw_client(site_cache)
    keys = raw.keys("*views.decorators.cache.*")
    assert len(keys) == 2, "a header list and a page"
    assert all(0 < raw.ttl(key) <= 60 for key in keys)


def test_vary():
    dark = Client(headers={"x-theme": "dark"})
    light = Client(headers={"x-theme": "light"})
    page = dark.get("/page/theme/").content
    assert light.get("/page/theme/").content != page
    assert dark.get("/page/theme/").content == page


def test_head_is_served_from_the_page_and_errors_are_not_kept():
    Client().get("/page/minute/")
    assert Client().head("/page/minute/").status_code == 200
    assert Client().get("/page/failing/").content != Client().get("/page/failing/").content


def test_half_a_megabyte_page():
    assert Client().get("/page/large/").content == Client().get("/page/large/").content


# Sessions


def test_login_lives_in_the_cache_until_logout(site_cache, user):
    browser = Client()
    assert browser.post("/login/", {**user, "password": "wrong"}).status_code == 403
    assert browser.post("/login/", user).json() == {"user": "ada"}
    assert browser.get("/whoami/").json() == {"user": "ada"}

    key = browser.cookies["sessionid"].value
    stored = site_cache.make_key("django.contrib.sessions.cache" + key)
    assert 0 < raw_client(site_cache).ttl(stored) <= 1_209_600

    assert browser.post("/logout/").status_code == 204
    assert browser.get("/whoami/").json() == {"user": None}
    assert not raw_client(site_cache).exists(stored)


def test_a_stolen_cookie_is_worthless_after_logout(user):
    browser, thief = Client(), Client()
    browser.post("/login/", user)
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    assert thief.get("/whoami/").json() == {"user": "ada"}
    browser.post("/logout/")
    assert thief.get("/whoami/").json() == {"user": None}


def test_session_data_flush_and_cycle_key(user):
    browser = Client()
    for item in ("book", "pen", "lämp"):
        browser.post("/basket/", {"item": item})
    before = browser.get("/basket/").json()
    assert before["basket"] == ["book", "pen", "lämp"]

    browser.post("/session/cycle/")
    after = browser.get("/basket/").json()
    assert after["basket"] == before["basket"]
    assert after["key"] != before["key"]
    stale = Client()
    stale.cookies["sessionid"] = before["key"]
    assert stale.get("/basket/").json()["basket"] == []

    # Logging in cycles the key as well and keeps the basket.
    browser.post("/login/", user)
    assert browser.get("/basket/").json()["basket"] == before["basket"]

    browser.post("/session/flush/")
    assert browser.get("/basket/").json()["basket"] == []
    assert browser.get("/whoami/").json() == {"user": None}


def test_a_session_expires(user):
    browser = Client()
    browser.post("/login/", user)
    # The cookie runs out at the client too; a thief's copy would not.
    key = browser.cookies["sessionid"].value
    copy = Client()
    copy.cookies["sessionid"] = key
    life = Lifetime(seconds=1)
    browser.post("/session/expire/", {"seconds": 1})
    life.ends_when(lambda: copy.get("/whoami/").json() == {"user": None})


def test_flushing_the_cache_logs_everybody_out(site_cache, user):
    browser = Client()
    browser.post("/login/", user)
    site_cache.clear()
    assert browser.get("/whoami/").json() == {"user": None}


# Rate limiting


def test_the_second_hit_within_the_minute_gets_429():
    assert Client().get("/limited/?visitor=ada").status_code == 200
    assert Client().get("/limited/?visitor=ada").status_code == 429
    assert Client().get("/limited/?visitor=ada").status_code == 429
    assert Client().get("/limited/?visitor=bob").status_code == 200


def test_the_limit_ends_with_its_window():
    life = Lifetime(seconds=1)
    assert Client().get("/limited/?visitor=ada&window=1").status_code == 200
    life.ends_when(lambda: Client().get("/limited/?visitor=ada&window=1").status_code == 200)


def test_the_atomic_limit():
    path = "/limited/atomic/?visitor=ada&limit=3&window=60"
    answers = [Client().get(path) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.json()["hits"] for answer in answers] == [1, 2, 3, 4, 5]
    assert all(0 < answer.json()["milliseconds_left"] <= 60_000 for answer in answers)
    assert 0 < int(answers[-1]["Retry-After"]) <= 60


def test_the_atomic_limit_ends_with_the_window_of_its_first_hit():
    life = Lifetime(seconds=1)
    path = "/limited/atomic/?visitor=ada&window=1"
    assert Client().get(path).status_code == 200
    life.ends_when(lambda: Client().get(path).status_code == 200)


# All of it over HTTP


def test_over_http_with_many_threads(user):
    with live_site() as address:
        ada = Browser(address)
        assert ada.post("/login/", **user).json() == {"user": "ada"}
        assert ada.get("/whoami/").json() == {"user": "ada"}
        assert Browser(address).get("/whoami/").json() == {"user": None}

        page = Browser(address).get("/page/minute/").body
        gate = threading.Barrier(8)

        def visit(number):
            gate.wait(20)
            visitor = Browser(address)
            statuses = [visitor.get("/limited/atomic/", visitor="all", limit=20).status for _ in range(5)]
            visitor.post("/basket/", item=f"item {number}")
            assert visitor.get("/basket/").json()["basket"] == [f"item {number}"]
            assert visitor.get("/page/minute/").body == page
            return statuses

        with ThreadPoolExecutor(8) as pool:
            statuses = [status for visits in pool.map(visit, range(8)) for status in visits]
        assert sorted(statuses) == [200] * 20 + [429] * 20

        ada.post("/logout/")
        assert ada.get("/whoami/").json() == {"user": None}
