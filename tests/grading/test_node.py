"""The DICOM node: films that it grades or skips, and its answers."""

import threading

import numpy as np
import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from dicom_files import view_code, write_dicom  # noqa: E402
from pydicom import dcmread, dcmwrite  # noqa: E402
from pydicom.uid import (  # noqa: E402
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE  # noqa: E402
from stand_ins import SQUARE, Uniform  # noqa: E402
from study_films import (  # noqa: E402
    ALGORITHM,
    KINDS,
    BrightKnee,
    bright_knee_grader,
    send,
    sop,
    study_film,
    until,
    waiting,
)
from test_fuzz import mutations  # noqa: E402

from knee_attention.commands.cli import main  # noqa: E402
from knee_attention.errors import InputError  # noqa: E402
from knee_attention.grading.grader import Grader  # noqa: E402
from knee_attention.grading.node import node as node_module  # noqa: E402
from knee_attention.grading.node.archive import Archive  # noqa: E402
from knee_attention.grading.node.node import Node, transfer_syntaxes  # noqa: E402
from knee_attention.grading.node.spool import Spool  # noqa: E402

COMPRESSED = {RLELossless, JPEG2000Lossless, JPEGLSLossless}
UNCOMPRESSED = {ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian}


def test_echo(node):
    entity = AE()
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", node(), ae_title="KNEEATT")
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize("syntax", sorted(COMPRESSED | UNCOMPRESSED))
def test_a_film_of_every_transfer_syntax_comes_back_as_report_and_picture(
    node, archive, tmp_path, syntax
):
    film = study_film(tmp_path / "film.dcm", compression=syntax if syntax in COMPRESSED else None)
    if syntax in UNCOMPRESSED:
        dataset = dcmread(film)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        dcmwrite(film, dataset, implicit_vr=syntax == ImplicitVRLittleEndian,
                 little_endian=syntax != ExplicitVRBigEndian, force_encoding=True)  # fmt: skip
    assert send(node(), film) == [0]
    until(lambda: len(archive.received) == 2)
    assert archive.films() == [sop(film)] * 2
    assert {one.StudyInstanceUID for one in archive.received} == {dcmread(film).StudyInstanceUID}


def test_syntaxes_that_tests_cannot_write_are_taken_too():
    assert {*COMPRESSED, *UNCOMPRESSED, JPEGBaseline8Bit, JPEGLosslessSV1} <= {*transfer_syntaxes()}


def test_what_is_no_knee_from_the_front_is_left_out(node, archive, tmp_path, caplog):
    chest = {"SeriesDescription": "Thorax PA"}
    others = [
        {"BodyPartExamined": "CHEST", **chest}, {"BodyPartExamined": None, **chest},
        {"SeriesDescription": None}, {"ViewPosition": "LL"},
        {"SeriesDescription": "Knee lateral"}, {"SeriesDescription": "Knees skyline"},
        {"Modality": "MR"}, {"ManufacturerModelName": "knee_attention"},
        {"PatientOrientation": ["A", "F"]}, {"ViewCodeSequence": [view_code("399067008")]},
    ]  # fmt: skip
    films = [study_film(tmp_path / f"{n}.dcm", n, **other) for n, other in enumerate(others)]
    slice_ = dcmread(study_film(tmp_path / "ct.dcm"))
    slice_.SOPClassUID = slice_.file_meta.MediaStorageSOPClassUID = CTImageStorage
    slice_.save_as(tmp_path / "ct.dcm")
    knee = study_film(tmp_path / "knee.dcm", BodyPartExamined="KNEE", ViewPosition="PA",
                      SeriesDescription="Knie bds. a.p./lat.")  # fmt: skip
    assert send(node(), *films, tmp_path / "ct.dcm", knee) == [0] * 12
    until(lambda: len(archive.received) == 2)
    assert archive.films() == [sop(knee)] * 2
    for film in [*films, tmp_path / "ct.dcm"]:
        assert any(sop(film) in line for line in caplog.messages)
    until(lambda: waiting(tmp_path, "films", "reports") == 0)


def test_a_parametric_map_is_sent_where_it_is_wanted(node, archive, tmp_path):
    film = study_film(tmp_path / "film.dcm")
    assert send(node(grader=Grader(Uniform(SQUARE)), with_map=True), film) == [0]
    until(lambda: len(archive.received) == 3)
    assert {made.SOPClassUID for made in archive.received} == set(KINDS)


def test_its_own_objects_are_left_out(node, archive, tmp_path):
    port = node()
    assert send(port, study_film(tmp_path / "film.dcm")) == [0]
    until(lambda: len(archive.received) == 2)
    own = []
    for made in archive.received[:2]:
        own.append(tmp_path / f"{made.Modality}.dcm")
        made.save_as(own[-1], enforce_file_format=True)
    last = study_film(tmp_path / "last.dcm", 1)
    assert send(port, *own, last) == [0] * 3
    until(lambda: len(archive.received) == 4)
    assert archive.films()[2:] == [sop(last)] * 2 or archive.films()[:2] == [sop(last)] * 2


def test_the_log_names_films_and_no_patients(node, archive, tmp_path, caplog):
    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(2)]
    films.append(study_film(tmp_path / "other.dcm", 2, StudyInstanceUID=None))
    send(node(), *films)
    until(lambda: len(archive.received) == 4 and waiting(tmp_path, "films") == 0)
    assert all(sum(sop(film) in line for line in caplog.messages) == 1 for film in films)
    assert "R KL" in caplog.text and "Doe" not in caplog.text and "9000001" not in caplog.text


def test_a_full_queue_is_out_of_resources(node, archive, tmp_path, caplog):
    free = threading.Event()

    class Slow(BrightKnee):
        def __call__(self, images):
            free.wait(60)
            return super().__call__(images)

    films = [study_film(tmp_path / f"{n}.dcm", n) for n in range(4)]
    port = node(grader=Grader(Slow()), limit=2)
    assert send(port, *films) == [0, 0, 0xA700, 0xA700]
    assert caplog.text.count("refused, 2 films wait already") == 2
    free.set()
    until(lambda: len(archive.received) == 4)
    assert send(port, *films[2:]) == [0, 0]
    until(lambda: len(archive.received) == 8)
    assert len(set(archive.films())) == 4


def test_a_full_disk_is_out_of_resources(node, archive, tmp_path, full_disk):
    port = node()
    film = study_film(tmp_path / "film.dcm")
    with full_disk():
        assert send(port, film) == [0xA700]
    assert waiting(tmp_path, "films") == 0
    assert send(port, film) == [0]
    until(lambda: len(archive.received) == 2)


def test_a_queue_that_fails_once_is_read_again(node, archive, tmp_path, caplog, monkeypatch):
    errors, whole = [OSError("Input/output error")], Spool.waiting

    def waiting(spool):
        if spool.folder.name == "films" and errors:
            raise errors.pop()
        return whole(spool)

    monkeypatch.setattr(Spool, "waiting", waiting)
    monkeypatch.setattr(node_module, "PAUSE", 0)
    assert send(node(), study_film(tmp_path / "film.dcm")) == [0]
    until(lambda: len(archive.received) == 2)
    assert "queue: waits, Input/output error" in caplog.text


def test_a_film_that_fails_for_no_fault_of_its_own_is_kept(node, archive, tmp_path, caplog):
    class OutOfMemory(BrightKnee):
        def __call__(self, images):
            raise MemoryError

    film = study_film(tmp_path / "film.dcm")
    send(node(grader=Grader(OutOfMemory())), film)
    until(lambda: "not graded, MemoryError; kept in refused" in caplog.text)
    [kept] = (tmp_path / "queue" / "refused").iterdir()
    assert kept.name == f"{sop(film)}.dcm" and sop(kept) == sop(film)
    until(lambda: waiting(tmp_path, "films") == 0)


def test_a_film_that_cannot_be_read_is_kept(node, archive, tmp_path, caplog):
    """A film that shows something else is not kept."""
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    unreadable = dcmread(study_film(tmp_path / "bits.dcm"))
    unreadable.Rows, unreadable.Columns = noise.shape
    unreadable.PixelData, unreadable.BitsStored, unreadable.HighBit = noise.tobytes(), 11, 10
    unreadable.save_as(tmp_path / "bits.dcm")
    other = study_film(tmp_path / "other.dcm", Modality="MR")
    assert send(node(), tmp_path / "bits.dcm", other) == [0, 0]
    until(lambda: "not a radiograph: modality MR" in caplog.text)
    assert "BitsStored is 11" in caplog.text and "kept in refused" in caplog.text
    [kept] = (tmp_path / "queue" / "refused").iterdir()
    assert sop(kept) == unreadable.SOPInstanceUID


@pytest.mark.parametrize("place", [
    "pydicom.dcmread", "pydicom.dataset.Dataset.pixel_array", "pydicom.pixels.apply_voi_lut",
    "knee_attention.grading.dicom.reports.secondary_capture",
])  # fmt: skip
def test_a_film_is_kept_wherever_memory_runs_out(
    node, archive, tmp_path, caplog, monkeypatch, place
):
    def run_out(*_, **__):
        raise MemoryError

    film = study_film(tmp_path / "film.dcm")
    monkeypatch.setattr(place, property(run_out) if place.endswith("pixel_array") else run_out)
    send(node(), film)
    until(lambda: "memory" in caplog.text.lower() and "; kept in refused" in caplog.text)
    assert waiting(tmp_path, "refused") == 1


@pytest.mark.slow
def test_200_damaged_films(node, archive, tmp_path):
    """Each is graded or left out, and a whole one after them is graded."""

    class OneOutput(BrightKnee):
        description = {"outputs": ["att0"], "image_size": [96, 96]}

    generator = np.random.default_rng(0)
    knee = (generator.random((160, 120)) * 4000 * np.hanning(120)).astype(np.uint16)
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4"}
    whole = [
        write_dicom(tmp_path / f"{n}.dcm", knee, compression=syntax, **uids).read_bytes()
        for n, syntax in enumerate((None, RLELossless))
    ]
    films = tmp_path / "queue" / "films"
    for folder in (films, films.with_name("reports")):
        folder.mkdir(parents=True)
    for kind, content in enumerate(whole):
        for number, damaged in enumerate(mutations(content, 100)):
            (films / f"1.{kind}.{number}.dcm").write_bytes(damaged)
    port = node(grader=Grader(OneOutput()))
    until(lambda: waiting(tmp_path, "films") == 0, 1200)
    assert len(archive.received) > 40
    last = study_film(tmp_path / "last.dcm")
    assert send(port, last) == [0]
    until(lambda: sop(last) in archive.films())


def test_a_port_in_use(node, archive, tmp_path):
    other = Node(bright_knee_grader(), ALGORITHM, Archive("A", "127.0.0.1", 1), tmp_path / "other")
    with pytest.raises(InputError, match=f"port {archive.port} of 127.0.0.1 cannot be opened: "):
        other.start("127.0.0.1", archive.port)
    for host in ("pacs..local", "ü..b"):
        with pytest.raises(InputError, match=f"port 104 of {host} cannot be opened: "):
            other.start(host, 104)


def test_only_this_user_may_read_what_waits(node, tmp_path):
    node()
    assert (tmp_path / "queue").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--send-to", "ORTHANC"], "expected TITLE@HOST:PORT"),
        (["--send-to", "A@host:70000"], "expected a port from 1 to 65535"),
        (["--send-to", "ATITLEOFTOOMANYLETTERS@host:104"], "expected an AE title"),
        (["--send-to", "A@host:104", "--port", "0"], "expected a port from 1 to 65535"),
        (["--send-to", "A@host:104", "--ae-title", " "], "expected an AE title"),
        ([], "--send-to"),
        (["--send-to", "A@host:104"], "none.onnx: no such model file"),
    ],
)
def test_options_that_cannot_be_used(options, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["node", "none.onnx", *options])
    shown = capsys.readouterr().err
    assert ended.value.code == 2 and said in shown and "Traceback" not in shown
