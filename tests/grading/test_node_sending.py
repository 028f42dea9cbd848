"""What a DICOM node sends to its archive, and what it keeps when the archive will not have it."""

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from pydicom.uid import SecondaryCaptureImageStorage  # noqa: E402
from stand_in_archive import StandIn  # noqa: E402
from study_films import send, sop, study_film, until, waiting  # noqa: E402


def test_what_waits_for_an_archive_that_is_away_is_sent_when_it_is_back(node, tmp_path, caplog):
    away = StandIn()
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(3)]
    assert send(node(away), *films) == [0] * 3
    until(lambda: waiting(tmp_path, "reports") == 6)
    assert caplog.text.count("does not answer") == 1
    away.start()
    until(lambda: len(away.received) == 6)
    until(lambda: "takes objects again" in caplog.text)
    away.stop()
    assert away.films() == sorted([sop(film) for film in films] * 2)
    assert waiting(tmp_path, "reports") == 0


def test_an_archive_out_of_resources_is_asked_again(node, archive, tmp_path, caplog):
    archive.status = 0xA700
    send(node(), study_film(tmp_path / "film.dcm"))
    until(lambda: "it is out of resources; 2 objects wait" in caplog.text)
    archive.status = 0
    until(lambda: len(archive.received) == 2)


def test_what_there_is_no_memory_to_send_waits(node, archive, tmp_path, caplog, monkeypatch):
    def run_out(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("knee_attention.grading.node.archive.dcmread", run_out)
        send(node(), study_film(tmp_path / "film.dcm"))
        until(lambda: "no memory to send an object" in caplog.text)
    until(lambda: len(archive.received) == 2)


def test_what_an_archive_refuses_is_kept_and_said(node, archive, tmp_path, caplog):
    archive.status = 0xC000
    port = node()
    send(port, study_film(tmp_path / "film.dcm"))
    until(lambda: waiting(tmp_path, "refused") == 2)
    assert caplog.text.count("status 0xc000; kept in") == 2
    archive.status = 0
    for path in (tmp_path / "queue" / "refused").iterdir():
        path.replace(tmp_path / "queue" / "reports" / path.name)
    send(port, study_film(tmp_path / "next.dcm", 1))
    until(lambda: len(archive.received) == 4)


def test_an_archive_without_a_kind_of_object_gets_the_other(node, tmp_path, caplog):
    pictures = StandIn(kinds=(SecondaryCaptureImageStorage,))
    pictures.start()
    send(node(pictures), study_film(tmp_path / "film.dcm"))
    until(lambda: len(pictures.received) == 1 and waiting(tmp_path, "refused") == 1)
    pictures.stop()
    assert "it takes no Comprehensive 3D SR Storage" in caplog.text


def test_a_film_that_comes_twice_is_one_to_the_archive(node, archive, tmp_path):
    film = study_film(tmp_path / "film.dcm")
    port = node()
    for count in (2, 4):
        assert send(port, film) == [0]
        until(lambda count=count: len(archive.received) == count)
    assert len({one.SOPInstanceUID for one in archive.received}) == 2
