"""Celery in a Django project: settings with the CELERY_ prefix, tasks on commit, the cache and the database in a worker."""

import os

import pytest
from django.core.cache import cache
from django.test import Client
from kombu import pools

from harness.programs import Program
from harness.waiting import wait_until
from project import tasks
from project.caches import configuration, using
from project.celery import app

GET = {"timeout": 30, "interval": 0.02}


@pytest.fixture(scope="module")
def worker(module_server, module_home, user):
    url = f"redis://127.0.0.1:{module_server.port}"
    app.conf.update(broker_url=f"{url}/0", result_backend=f"{url}/0")
    program = Program(
        module_home / "worker.log",
        ["-m", "celery", "-A", "project.celery", "worker", "--concurrency", "1", "--loglevel", "INFO"],
        environ={"DJR_TEST_URL": url, "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]},
    )
    yield program.wait_for(" ready.", "project.tasks.greet")
    program.close()
    app.backend.result_consumer.stop()
    app.backend.client.connection_pool.disconnect()
    app.close()
    pools.reset()


@pytest.fixture(autouse=True)
def same_cache(module_server, worker):
    with using(configuration("django-redis", module_server.url(1))):
        yield


def test_a_task_on_commit():
    user = Client().post("/sign-up/", {"name": "grace"}).json()["user"]
    wait_until(lambda: cache.get(f"greeting:{user}") == "hello grace", seconds=20)


def test_results_and_retries(user):
    count = tasks.count_users.delay().get(**GET)
    assert count >= 1
    assert tasks.greet.delay(1).get(**GET) == 1
    assert cache.get("greeting:1") == f"hello {user['username']}"


def test_dbs_are_apart(module_server):
    """The cache may be cleared, the queue stays."""
    result = tasks.count_users.apply_async(countdown=0.5)
    cache.clear()
    assert result.get(**GET) >= 1
    assert module_server.client(1).dbsize() == 0
    assert module_server.client(0).exists(f"celery-task-meta-{result.id}")
