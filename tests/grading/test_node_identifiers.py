"""SOPInstanceUIDs that a DICOM node accepts, in sequence and in parallel."""

import threading

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
from pydicom import dcmread  # noqa: E402
from study_films import BrightKnee, send, study_film, until, waiting  # noqa: E402

from knee_attention.grading.grader import Grader  # noqa: E402


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
    until(lambda: len(archive.received) == 4)
    studies = {dcmread(film).StudyInstanceUID for film in films}
    assert {one.StudyInstanceUID for one in archive.received} == studies
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
