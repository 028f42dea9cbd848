"""Limits of a client's connections, memory and time; and refusals of wrapped films."""

import gzip
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from processes import asked, serving

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
import uvicorn  # noqa: E402

from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.grading.web import protection, uploads  # noqa: E402
from knee_attention.grading.web.app import application  # noqa: E402


class NeverGrades:
    """A grader that refuses every film after an event."""

    description: dict = {}

    def __init__(self):
        self.may, self.works = threading.Event(), threading.Event()
        self.may.set()

    def grade(self, film):
        self.works.set()
        self.may.wait(30)
        raise ImageError(film, "no knee")


@pytest.fixture
def grader():
    return NeverGrades()


@pytest.fixture
def here(grader):
    """The address of a server in this process."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = application(grader, [], 900_000)
    server = uvicorn.Server(uvicorn.Config(
        app, http=protection.Connection, ws="none", lifespan="off", log_config=None
    ))  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()
    grader.may.set()
    server.should_exit = True
    thread.join()
    listening.close()


@contextmanager
def connections(address, count: int, sent: bytes = b""):
    """Open connections that send only these bytes."""
    opened = [socket.create_connection(address, timeout=10) for _ in range(count)]
    try:
        for one in opened:
            one.sendall(sent)
        yield opened
    finally:
        for one in opened:
            one.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: "])
def test_silent_connections_keep_nobody_out(model, sent):
    with serving(model, "--port", 0) as (_, started):
        host, _, port = started.rpartition(":")
        with connections((host, int(port)), 70, sent):
            for _ in range(3):
                assert asked(started, "GET", "/health")[0] == 200


def test_silent_and_dripping_connections_are_ended(here, monkeypatch):
    monkeypatch.setattr(protection, "HEAD_SECONDS", 0.5)
    with connections(here, 1) as [silent]:
        assert silent.recv(1) == b""
    answered = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for start in (b"", answered):
        with connections(here, 1, start) as [dripping]:
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                while time.monotonic() < began + 8:
                    dripping.sendall(b"G")
                    time.sleep(0.05)


def test_a_film_that_falls_silent_is_given_up(here, monkeypatch):
    monkeypatch.setattr(uploads, "SILENT_SECONDS", 0.3)
    head = b"POST /grade HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
    with connections(here, 1, head) as [silent]:
        assert silent.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_is_answered_early_may_send_the_rest(here, monkeypatch):
    monkeypatch.setattr(protection, "HEAD_SECONDS", 0.3)
    head = b"POST /grade HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000000\r\n\r\n"
    with connections(here, 1, head) as [slow]:
        for _ in range(12):
            slow.sendall(bytes(1000))
            time.sleep(0.1)
        assert slow.recv(100).startswith(b"HTTP/1.1 413 ")
        slow.sendall(bytes(1000))


def test_no_client_takes_all_connections(here, monkeypatch):
    """A client with too many connections in use gets 503; waiting ones are closed first."""
    monkeypatch.setattr(protection, "CONNECTIONS_A_CLIENT", 2)
    head = (b"POST /grade HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
            b"Expect: 100-continue\r\n\r\n")  # fmt: skip
    with connections(here, 1, head) as [first], connections(here, 1) as [waiting]:
        assert first.recv(100).startswith(b"HTTP/1.1 100 ")
        with connections(here, 1, head) as [second]:
            assert second.recv(100).startswith(b"HTTP/1.1 100 ")
            assert waiting.recv(1) == b""
            status, said, headers = asked(here, "GET", "/health")
    assert status == 503 and "connections in use; try again later" in said["error"]
    assert headers["retry-after"] == "5" and headers["cache-control"] == "no-store"


@pytest.mark.parametrize("declared", [True, False])
def test_films_that_are_held_have_a_sum(here, grader, monkeypatch, declared):
    """While a large film is graded, the memory for another is full; afterwards it is free."""
    monkeypatch.setattr(uploads, "MOST_HELD", 1_000_000)
    film = bytes(600_000)
    sent = film if declared else iter([film[:300_000], film[300_000:]])
    grader.may.clear()
    first = threading.Thread(target=asked, args=(here, "POST", "/grade", film))
    first.start()
    assert grader.works.wait(20)
    status, said, headers = asked(here, "POST", "/grade", sent)
    assert status == 503 and "try again later" in said["error"]
    assert headers["retry-after"] == "5"
    grader.may.set()
    first.join()
    assert asked(here, "POST", "/grade", film)[0] == 422


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content_Type": "text/html"}, "Content-Type text/html"),
        ({"Content_Type": "Multipart/Related; boundary=x"}, "Content-Type multipart/related"),
        ({"Content_Type": "application/json"}, "Content-Type application/json"),
        ({"Content_Encoding": "gzip"}, "Content-Encoding gzip is not supported; send the file"),
        ({"Content_Encoding": "br"}, "Content-Encoding br is not supported"),
    ],
)
def test_what_a_film_is_packed_in_is_named(here, headers, said):
    status, answer, _ = asked(here, "POST", "/grade", gzip.compress(b"film"), **headers)
    assert status == 415 and said in answer["error"] and "send the file" in answer["error"]


@pytest.mark.parametrize("headers", [
    {}, {"Content_Encoding": "identity"}, {"Content_Type": "application/x-www-form-urlencoded"},
    {"Content_Type": "application/dicom"}, {"Content_Type": "image/x-unknown"},
])  # fmt: skip
def test_a_plain_body_is_looked_at_whatever_it_is_called(here, headers):
    assert asked(here, "POST", "/grade", b"film", **headers)[0] == 422
