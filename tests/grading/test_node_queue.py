"""The folder of a node's queue, and the sender that empties it."""

import threading

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from study_films import (  # noqa: E402
    ALGORITHM,
    bright_knee_grader,
    free_port,
    study_film,
    until,
)

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.errors import InputError  # noqa: E402
from knee_attention.grading.node.archive import Archive, Sender  # noqa: E402
from knee_attention.grading.node.node import Node  # noqa: E402
from knee_attention.grading.node.spool import Spool, refuse_other_folder  # noqa: E402
from knee_attention.runs.folder_lock import locked  # noqa: E402


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
