"""Limits on the memory and the time that a sender may take of a DICOM node."""

import socket
import struct
import time

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from study_films import send, study_film, until  # noqa: E402

from knee_attention.grading.node import connection  # noqa: E402
from knee_attention.grading.node import node as node_module  # noqa: E402

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
