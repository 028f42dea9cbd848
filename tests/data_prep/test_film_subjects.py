"""The subject of a film if its header, its folders and contents.csv disagree."""

import pytest

from knee_attention.data_prep.film_subjects import warning, with_subjects


def settled(*films, listed=""):
    """The subjects and visits of films `(folders, PatientID)`, and the disagreements."""
    rows = [{"source": f"/archive/{folders}/1", "patient": patient, "listed": listed}
            for folders, patient in films]  # fmt: skip
    found, disagreements = with_subjects(rows)
    return [(film["subject"], film["visit"]) for film in found], disagreements


@pytest.mark.parametrize("most_id", ["M2320", "MB00001", "MI50003"])
@pytest.mark.parametrize("patient", ["{}", "HNSH", "hnsh", "{}_HNSH", "14608", "146082", ""])
def test_folders_of_most_give_subject_and_visit(most_id, patient):
    folders = f"{most_id}_HNSH/V3/14608/PA15/146082"
    assert settled((folders, patient.format(most_id))) == ([(most_id, "V3")], [])


def test_two_persons_below_one_folder_are_two_subjects():
    films = [("M2320_HNSH/V0/a", "P1"), ("M2320_HNSH/V0/b", "P2"), ("M2320_HNSH/V3/c", "P1")]
    subjects, disagreements = settled(*films)
    assert subjects == [("P1", "V0"), ("P2", "V0"), ("P1", "V3")]
    assert [found.patient for found in disagreements] == ["P1", "P2", "P1"]
    assert warning(disagreements, 3) == (
        "WARNING: PatientID and folder or contents.csv name different persons for 3 of 3 "
        "films (the first: PatientID P1, folder M2320_HNSH, assigned to P1: "
        "/archive/M2320_HNSH/V0/a/1); 3 films are assigned by PatientID, "
        "0 by folder or contents.csv"
    )


def test_a_stranger_below_a_person_s_folder_is_a_subject_of_its_own():
    films = [("M2320_HNSH/V0/a", "HNSH"), ("M2320_HNSH/V0/b", "P2"), ("M2320_HNSH/V3/c", "")]
    subjects, [found] = settled(*films)
    assert subjects == [("M2320", "V0"), ("P2", "V0"), ("M2320", "V3")]
    assert (found.patient, found.place, found.by_header) == ("P2", "folder M2320_HNSH", True)


def test_a_pseudonym_is_the_folder_s_person_and_said():
    """Grades are listed by MOSTID, and a pseudonym does not contradict it."""
    subjects, disagreements = settled(("M2320_HNSH/V0/a", "anon7"), ("M2320_HNSH/V3/b", "anon7"))
    assert subjects == [("M2320", "V0"), ("M2320", "V3")]
    assert [found.by_header for found in disagreements] == [False, False]


@pytest.mark.parametrize("patient", ["M2321", "M2321_ABCD", "MB00002"])
def test_another_most_id_in_the_header_wins(patient):
    subjects, [found] = settled(("M2320_HNSH/V0/a", patient))
    assert subjects == [(patient.split("_")[0], "V0")] and found.by_header


def test_two_folders_of_one_most_id_are_two_persons():
    films = [("M2320_HNSH/V0/a", "HNSH"), ("M2320_ABCD/V0/b", "ABCD"), ("M2320_ABCD/V3/c", "")]
    subjects, disagreements = settled(*films)
    assert subjects == [("M2320_HNSH", "V0"), ("M2320_ABCD", "V0"), ("M2320_ABCD", "V3")]
    assert len(disagreements) == 3 and "PatientID blank" in warning(disagreements[2:], 3)


@pytest.mark.parametrize("folders", [
    "M2320/V0/a", "M232_HNSH/V0/a", "M2320_HNSH/0/a", "XB00001_HNSH/V0/a", "M2320_HNSH/b/V0",
])  # fmt: skip
def test_other_folders_are_none_of_most(folders):
    assert settled((folders, "P1")) == ([("P1", "")], [])


@pytest.mark.parametrize(
    ("patient", "listed", "subject", "place"),
    [
        ("9000001", "", "9000001", None),
        ("", "", "9000001", None),
        ("9000002", "", "9000002", "folder 9000001"),
        ("9000002", "9000003", "9000003", "contents.csv 9000003"),
        ("9000003", "9000003", "9000003", None),
        ("", "9000003", "9000003", None),
    ],
)
def test_oai_is_known_by_its_table_its_header_and_its_folders(patient, listed, subject, place):
    folders = "00m/0.C.2/9000001/20040101/01234567"
    subjects, disagreements = settled((folders, patient), listed=listed)
    assert subjects == [(subject, "")]
    assert [found.place for found in disagreements] == ([place] if place else [])


def test_rows_of_an_earlier_version_keep_their_subject():
    rows = [{"source": "/archive/MB00001_HNSH/V1/a/1", "subject": "MB00001"},
            {"source": "/archive/a/1", "subject": "P1"}]  # fmt: skip
    found, disagreements = with_subjects(rows)
    assert [(film["subject"], film["visit"]) for film in found] == [("MB00001", "V1"), ("P1", "")]
    assert not disagreements
