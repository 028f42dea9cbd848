"""Films that a DICOM node accepts at once, and limits on the memory and time that senders take."""

import socket
import struct
import threading
import time

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")

from pydicom import dcmread  # noqa: E402
from study_films import BrightKnee, send, study_film, until, waiting  # noqa: E402

from knee_attention.grading.grader import Grader  # noqa: E402
from knee_attention.grading.node import connection  # noqa: E402
from knee_attention.grading.node import node as node_module

ASSOCIATE, DATA = 1, 4
"""Types of protocol data units (PS3.8 9.3)."""


def ends_after(port: int, sent: bytes, seconds: float = 10) -> bool:
    """Whether the node closes a connection that sends only these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sender:
        sender.sendall(sent)
        try:
            while sender.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
    return True


@pytest.mark.parametrize("kind", [ASSOCIATE, DATA])
@pytest.mark.parametrize("length", [2**20 + 1, 2**32 - 1])
def test_a_unit_of_any_length_is_not_waited_for(node, archive, tmp_path, caplog, kind, length):
    port = node()
    assert ends_after(port, struct.pack(">BBL", kind, 0, length) + bytes(1000))
    assert f"127.0.0.1: connection ended, it announced a unit of {length}" in caplog.text
    assert send(port, study_film(tmp_path / "film.dcm")) == [0]
    until(lambda: len(archive.received) == 2)


def test_senders_that_fall_silent_keep_no_other_out(node, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "PDU_SECONDS", 1)
    monkeypatch.setattr(node_module, "ASSOCIATION_SECONDS", 1)
    port, film = node(), study_film(tmp_path / "film.dcm")
    starts = [b"\1", struct.pack(">BBL", ASSOCIATE, 0, 2000) + bytes(100)] * 6
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in starts]
    try:
        for sender, start in zip(silent, starts, strict=True):
            sender.sendall(start)
        until(lambda: send(port, film) == [0], 20)
    finally:
        for sender in silent:
            sender.close()
    until(lambda: len(archive.received) >= 2)


def test_a_unit_that_drips_is_not_waited_for(node, monkeypatch):
    monkeypatch.setattr(connection, "PDU_SECONDS", 1)
    with socket.create_connection(("127.0.0.1", node()), timeout=10) as sender:
        sender.sendall(struct.pack(">BBL", ASSOCIATE, 0, 2000))
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() < began + 10:
                sender.sendall(b"x")
                time.sleep(0.1)


def test_a_message_without_end_is_not_gathered(node, archive, tmp_path, monkeypatch, caplog):
    """Answered films no longer count."""
    film = study_film(tmp_path / "film.dcm")
    monkeypatch.setattr(connection, "MOST_BYTES", int(1.5 * film.stat().st_size))
    port = node()
    assert send(port, film, film, film) == [0] * 3
    monkeypatch.setattr(connection, "MOST_BYTES", film.stat().st_size // 2)
    assert send(port, film) == [None]
    assert "bytes before it was answered" in caplog.text


def test_a_film_that_arrives_while_another_of_its_identifier_is_graded_is_graded_too(
    node, archive, tmp_path
):
    begun, free = threading.Event(), threading.Event()

    class Slow(BrightKnee):
        def __call__(self, images):
            begun.set()
            free.wait(60)
            return super().__call__(images)

    films = [study_film(tmp_path / f"{n}.dcm", n, SOPInstanceUID="1.2.3") for n in range(2)]
    port = node(grader=Grader(Slow()))
    assert send(port, films[0]) == [0]
    assert begun.wait(60)
    assert send(port, films[1]) == [0]
    free.set()
    # The reports of the second film replace those of the first that still wait.
    last = dcmread(films[1]).StudyInstanceUID
    until(lambda: sum(one.StudyInstanceUID == last for one in archive.received) == 2)
    until(lambda: waiting(tmp_path, "films") == 0)


@pytest.mark.parametrize("uid", ["1.2.840.0113619.2.05", "1.2.840.00", "01.2"])
def test_leading_zeros_in_an_identifier_are_taken(node, archive, tmp_path, caplog, uid):
    assert send(node(), study_film(tmp_path / "film.dcm", SOPInstanceUID=uid)) == [0]
    until(lambda: waiting(tmp_path, "films") == 0)
    assert f"film {uid}: " in caplog.text and "refused" not in caplog.text


@pytest.mark.parametrize("uid", ["1.2.x", ".1.2", "1..2", "../1", "1.2."])
def test_what_is_no_identifier_is_refused_and_named(node, tmp_path, caplog, uid):
    assert send(node(), study_film(tmp_path / "film.dcm", SOPInstanceUID=uid)) == [0xC000]
    assert f"film {uid!r}: refused, its SOPInstanceUID is not a UID" in caplog.text
