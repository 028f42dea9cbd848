"""The folder of a node's queue, and the reports that it sends to its archive or keeps."""

import os
import threading

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")

from processes import free_port  # noqa: E402
from pydicom import dcmread  # noqa: E402
from pydicom.uid import SecondaryCaptureImageStorage  # noqa: E402
from study_films import (  # noqa: E402
    ALGORITHM,
    StandIn,
    bright_knee_grader,
    send,
    sop,
    study_film,
    until,
    waiting,
)

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.errors import InputError  # noqa: E402
from knee_attention.grading.node.archive import Archive, Away, Postponed, Sender  # noqa: E402
from knee_attention.grading.node.node import Node  # noqa: E402
from knee_attention.grading.node.spool import Spool, refuse_other_folder  # noqa: E402
from knee_attention.runs.folder_lock import locked  # noqa: E402


def test_what_waits_for_an_archive_that_is_away_is_sent_when_it_is_back(node, tmp_path, caplog):
    away = StandIn()
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(3)]
    assert send(node(away), *films) == [0] * 3
    until(lambda: waiting(tmp_path, "reports") == 6 and "does not answer" in caplog.text)
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


def test_an_object_at_which_the_archive_breaks_off_keeps_no_other_back(
    node, archive, tmp_path, caplog
):
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(3)]
    archive.breaks_off_at = ALGORITHM.uid("report", dcmread(films[0]))
    port = node()
    assert send(port, *films) == [0] * 3
    until(lambda: len(archive.received) == 5)
    until(lambda: waiting(tmp_path, "reports") == 1)
    until(lambda: f"closed the connection during {archive.breaks_off_at}" in caplog.text)
    archive.breaks_off_at = None
    until(lambda: len(archive.received) == 6)


def test_a_report_that_is_made_again_while_it_is_sent_is_sent_again(tmp_path):
    spool, refused = Spool(tmp_path / "reports", 9), tmp_path / "refused"
    spool.put("1.2", b"first")
    [path] = spool.waiting()
    for take in (spool.remove, lambda path: spool.move(path, refused)):
        spool.put("1.2", b"first")
        assert spool.read(path) == b"first"
        spool.put("1.3", b"other")
        spool.put("1.2", b"second")
        take(path)
        assert spool.read(path) == b"second"
        take(path)
        assert spool.waiting() == [path.with_name("1.3.dcm")]
    assert (refused / "1.2.dcm").read_bytes() == b"second"


def test_a_file_that_a_user_removes_does_not_wait(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "films", 9)
    spool.put("1.2", b"film")
    [path] = spool.waiting()
    monkeypatch.setattr(spool, "_files", lambda: [path.with_name("1.1.dcm"), path])
    assert spool.waiting() == [path]


def test_a_film_that_ended_the_process_comes_last_after_a_restart(tmp_path):
    spool = Spool(tmp_path / "films", 9)
    for second, uid in enumerate(("1.1", "1.2")):
        spool.put(uid, b"film")
        os.utime(spool.folder / f"{uid}.dcm", (second, second))
    spool.read(spool.folder / "1.1.dcm")
    assert [path.stem for path in Spool(spool.folder, 9).waiting()] == ["1.2", "1.1"]


def test_the_name_of_a_film_reaches_the_disk_after_its_content(tmp_path, monkeypatch):
    spool, synced = Spool(tmp_path / "films", 9), []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    spool.put("1.2", b"film")
    assert synced == [path.stat().st_ino for path in (spool.folder / "1.2.dcm", spool.folder)]


def test_the_pause_begins_anew_after_progress(tmp_path, monkeypatch):
    """New reports do not shorten the pause while the archive is unreachable."""
    reports = Spool(tmp_path / "reports", 9)
    sender = Sender(Archive("A", "127.0.0.1", 1), "KNEEATT", reports, tmp_path / "refused")
    steps = [(0, Away), (0, Away), (1, Postponed), (0, Postponed), (0, Away), (2, None)]
    ended, came = Pauses(), Pauses()

    def step():
        taken, outcome = steps.pop(0)
        sender._taken += taken
        if not steps:
            ended.set()
        if outcome:
            raise outcome("for now")

    monkeypatch.setattr(sender, "_send_waiting", step)
    sender.send_until(ended, came)
    assert (ended.lengths, came.lengths) == ([1, 2, 4], [1, 2, None])


class Pauses(threading.Event):
    """Records the seconds of each wait."""

    def __init__(self):
        super().__init__()
        self.lengths = []

    def wait(self, timeout=None):
        self.lengths.append(timeout)


def test_what_there_is_no_memory_to_send_waits(node, archive, tmp_path, caplog, monkeypatch):
    def run_out(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("knee_attention.grading.node.archive.dcmread", run_out)
        send(node(), study_film(tmp_path / "film.dcm"))
        until(lambda: "not enough memory to send an object" in caplog.text)
    until(lambda: len(archive.received) == 2)


def test_what_an_archive_refuses_is_kept_and_said(node, archive, tmp_path, caplog):
    archive.status = 0xC000
    port = node()
    send(port, study_film(tmp_path / "film.dcm"))
    until(lambda: caplog.text.count("status 0xc000; kept in") == 2)
    assert waiting(tmp_path, "refused") == 2
    archive.status = 0
    for path in (tmp_path / "queue" / "refused").iterdir():
        path.replace(tmp_path / "queue" / "reports" / path.name)
    send(port, study_film(tmp_path / "next.dcm", 1))
    until(lambda: len(archive.received) == 4)


def test_an_archive_without_a_kind_of_object_gets_the_other(node, tmp_path, caplog):
    pictures = StandIn(kinds=(SecondaryCaptureImageStorage,))
    pictures.start()
    send(node(pictures), study_film(tmp_path / "film.dcm"))
    until(lambda: "it takes no Comprehensive 3D SR Storage" in caplog.text)
    until(lambda: len(pictures.received) == 1)
    pictures.stop()
    assert waiting(tmp_path, "refused") == 1


def test_a_film_that_comes_twice_is_one_to_the_archive(node, archive, tmp_path):
    film = study_film(tmp_path / "film.dcm")
    port = node()
    for count in (2, 4):
        assert send(port, film) == [0]
        until(lambda count=count: len(archive.received) == count)
    assert len({one.SOPInstanceUID for one in archive.received}) == 2


def test_a_folder_of_the_user_s_films_is_no_queue(tmp_path, capsys):
    film = study_film(tmp_path / "share" / "films" / "patient.dcm")
    remains = tmp_path / "share" / ".123.unfinished.png"
    remains.touch()
    mode = film.parents[1].stat().st_mode
    with pytest.raises(SystemExit):
        main(["node", "kneekl-vgg16-multiloss", "--send-to", "ARCHIVE@127.0.0.1:1",
              "--port", str(free_port()), "--queue", str(tmp_path / "share")])
    assert "holds files that are not from a node's queue" in capsys.readouterr().err
    with pytest.raises(InputError, match="holds files that are not"):
        Node(bright_knee_grader(), ALGORITHM, Archive("A", "127.0.0.1", 1), tmp_path / "share")
    assert film.exists() and remains.exists() and film.parents[1].stat().st_mode == mode


def test_a_queue_that_was_only_half_made_is_gone_on_with(tmp_path):
    (tmp_path / "films").mkdir()
    for name in ("lost+found", "films"):
        (tmp_path / name).mkdir(exist_ok=True)
    refuse_other_folder(tmp_path)
    (tmp_path / "films" / "1.2.3.dcm").touch()
    with pytest.raises(InputError, match="holds files that are not"):
        refuse_other_folder(tmp_path)
    (tmp_path / "reports").mkdir()
    refuse_other_folder(tmp_path)


def test_an_archive_without_an_address_is_away(tmp_path, caplog):
    spool = Spool(tmp_path / "reports", 9)
    spool.put("1.2.3", b"a report")
    ended, came = threading.Event(), threading.Event()
    sender = Sender(Archive("PACS", "pacs.invalid", 104), "KNEEATT", spool, tmp_path / "refused")
    thread = threading.Thread(target=sender.send_until, args=(ended, came), daemon=True)
    thread.start()
    until(lambda: "archive PACS@pacs.invalid:104: " in caplog.text)
    assert thread.is_alive() and len(spool.waiting()) == 1
    ended.set()
    thread.join()


class EndsMeanwhile(threading.Event):
    """The end is set just before the event is cleared."""

    def __init__(self, ended):
        super().__init__()
        self.ended = ended

    def clear(self):
        self.ended.set()
        self.set()
        super().clear()


def test_an_end_at_any_moment_is_noticed(tmp_path, monkeypatch):
    archive, ended = Archive("A", "127.0.0.1", 1), threading.Event()
    sender = Sender(archive, "KNEEATT", Spool(tmp_path / "reports", 9), tmp_path / "refused")
    node = Node(bright_knee_grader(), ALGORITHM, archive, tmp_path / "queue")
    monkeypatch.setattr(node, "_film_came", EndsMeanwhile(node._ended))
    for wait, given in (
        (sender.send_until, (ended, EndsMeanwhile(ended))), (node._grade_until_ended, ()),
    ):  # fmt: skip
        thread = threading.Thread(target=wait, args=given, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()


def test_two_nodes_do_not_work_in_one_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with locked(tmp_path / "node"), pytest.raises(SystemExit) as ended:
        main(["node", "kneekl-vgg16-multiloss", "--send-to", "ARCHIVE@127.0.0.1:1",
              "--port", str(free_port())])
    assert ended.value.code == 2
    assert "is working there; choose another folder" in capsys.readouterr().err
