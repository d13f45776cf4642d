"""Fixtures: a server for the session, servers of one's own, the Django project on either cache backend."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import redis

from harness.programs import Program
from harness.server import Server, binary

_scratch = None


def pytest_configure(config):
    global _scratch
    _scratch = Path(tempfile.mkdtemp(prefix="djr-python-"))
    # Django reads its settings once, so they must be ready before the first test module is imported.
    os.environ["DJR_TEST_SQLITE"] = str(_scratch / "project.sqlite3")
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    import django

    django.setup()


def pytest_unconfigure(config):
    if _scratch:
        shutil.rmtree(_scratch, ignore_errors=True)


def pytest_sessionstart(session):
    try:
        binary()
    except RuntimeError as error:
        pytest.exit(str(error), returncode=2)


def pytest_report_header(config):
    return f"server under test: {binary()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last words of its servers."""
    report = yield
    if report.failed:
        for name, server in sorted(getattr(item, "funcargs", {}).items()):
            if isinstance(server, Server) and not name.startswith("_"):
                report.sections.append((f"log of {name}", server.log_tail()))
            if isinstance(server, Program):
                report.sections.append((f"log of {name}", server.tail()))
        for number, program in enumerate(getattr(item, "started_programs", [])):
            report.sections.append((f"log of program {number}", program.tail()))
        for number, server in enumerate(getattr(item, "made_servers", [])):
            report.sections.append((f"log of made server {number}", server.log_tail()))
    return report


@pytest.fixture(scope="session")
def _session_server():
    server = Server(_scratch / "session-server")
    try:
        server.start()
        server.flush()
    except (RuntimeError, redis.RedisError) as error:
        # Each test would wait for it and fail in the same way.
        server.close()
        pytest.exit(f"{binary()} can't be tested: {error}", returncode=2)
    yield server
    assert server.close(), f"the server died during the tests:\n{server.log_tail()}"


@pytest.fixture
def server(_session_server):
    """The server that most tests share, empty. Tests that kill, stop or configure one use `make_server`."""
    if _session_server.process.poll() is not None:
        pytest.fail(f"the server died in an earlier test:\n{_session_server.log_tail()}")
    _session_server.flush()
    yield _session_server
    _session_server.close_clients()


@pytest.fixture
def make_server(request):
    """Starts servers of this test alone: `make_server(appendfsync="always", …)`."""
    made = request.node.made_servers = []
    homes = []

    def make(**options):
        # Short, because the path of a Unix socket in it may have no more than 107 bytes.
        home = Path(tempfile.mkdtemp(prefix="s", dir=_scratch))
        homes.append(home)
        if options.get("unixsocket"):
            options["unixsocket"] = home / options["unixsocket"]
        server = Server(home, **options)
        made.append(server)
        return server.start()

    yield make
    died = [server.log_tail() for server in made if not server.close()]
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)
    assert not died, f"a server died by itself:\n{died[0]}"


@pytest.fixture(scope="module")
def module_home():
    """A directory for what a module's programs write."""
    home = Path(tempfile.mkdtemp(prefix="m", dir=_scratch))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def module_server(module_home):
    """A server that the tests of a module share with programs of theirs; it is not emptied between tests."""
    server = Server(module_home / "server")
    yield server.start()
    assert server.close(), f"the server died during the tests:\n{server.log_tail()}"


@pytest.fixture
def programs(request, tmp_path):
    """Starts programs of this test alone: `programs("-m", "celery", …, url=…)`; they end with it."""
    started = request.node.started_programs = []

    def start(*arguments, **environ):
        program = Program(tmp_path / f"program{len(started)}.log", arguments, environ=environ)
        started.append(program)
        return program

    yield start
    for program in started:
        program.close()


@pytest.fixture(params=["django-redis", "django"])
def backend(request):
    """The name of a cache backend, for `project.caches`."""
    return request.param


@pytest.fixture(params=[3, 2], ids=["resp3", "resp2"])
def protocol(request):
    """The version of the protocol that redis-py speaks; 3 is its default."""
    return request.param


@pytest.fixture
def cache(server, backend, protocol):
    """Django's default cache, on db 1 of the shared server, with each backend and protocol."""
    from project.caches import configuration, using

    with using(configuration(backend, server.url(1, protocol=protocol))) as default:
        yield default


@pytest.fixture
def site_cache(server, backend):
    """The same for tests of whole pages, with the protocol that redis-py chooses."""
    from project.caches import configuration, using

    with using(configuration(backend, server.url(1))) as default:
        yield default


@pytest.fixture(scope="session")
def user():
    """A user of the Django project; the database is made with it."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0, interactive=False)
    get_user_model().objects.create_user("ada", password="engine")
    yield {"username": "ada", "password": "engine"}
    connections.close_all()
