"""The Django project behind a real, threaded WSGI server, and a browser of sorts for it."""

import http.client
import json
import threading
from contextlib import contextmanager
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections

from project.caches import disconnect_this_thread


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class _Application(WSGIHandler):
    def __call__(self, environ, start_response):
        try:
            return super().__call__(environ, start_response)
        finally:
            # Each request has a thread of its own, which would leave its connections behind.
            connections.close_all()
            disconnect_this_thread()


@contextmanager
def live_site():
    """Serves the project on a free port of 127.0.0.1; yields the address (host, port)."""
    site = ThreadedWSGIServer(("127.0.0.1", 0), _QuietHandler)
    site.set_app(_Application())
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site.server_address
    finally:
        site.shutdown()
        site.server_close()
        thread.join(10)


class Browser:
    """Sends requests over HTTP and keeps the cookies, one connection per request."""

    def __init__(self, address):
        self.address = address
        self.cookies = SimpleCookie()

    def get(self, path, **query):
        return self._request("GET", path + ("?" + urlencode(query) if query else ""))

    def post(self, path, **form):
        return self._request("POST", path, urlencode(form))

    def _request(self, method, path, body=None):
        headers = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            for cookie in response.headers.get_all("Set-Cookie") or []:
                self.cookies.load(cookie)
            return Answer(response.status, response.read())
        finally:
            connection.close()


class Answer:
    """Status and body of an HTTP response."""

    def __init__(self, status, body):
        self.status = status
        self.body = body

    def json(self):
        return json.loads(self.body)
