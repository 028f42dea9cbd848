"""The subject of a film, its label, and its one split."""

import numpy as np
import pytest
from stand_ins import read_rows

from knee_attention.data_prep.film_subjects import with_subjects
from knee_attention.data_prep.pairing import pair
from knee_attention.errors import InputError
from knee_attention.films.image_files import write_image

PERSONS, DATES = 20, 3


@pytest.fixture
def dated(tmp_path):
    """Knees of 20 persons on three dates each; knees.csv names the persons, labels.csv does not."""
    rng = np.random.default_rng(0)
    labels, table = ["id,side,kl"], ["id,subject,side,file"]
    for film in range(PERSONS * DATES):
        name = f"film{film:02d}"
        for side in "RL":
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(tmp_path / "knees" / f"{name}_{side}.png", knee)
            labels.append(f"{name},{side},{film % 5}")
            table.append(f"{name},P{film // DATES},{side},{name}_{side}.png")
    (tmp_path / "labels.csv").write_text("\n".join(labels), encoding="utf-8")
    (tmp_path / "knees" / "knees.csv").write_text("\n".join(table), encoding="utf-8")
    return tmp_path


def splits_by_person(folder):
    splits = {}
    for row in read_rows(folder / "manifest.csv"):
        person = int(row["id"][4:]) // DATES
        splits.setdefault(person, set()).add(row["split"])
    return splits


@pytest.mark.parametrize("relabelled", [False, True])
def test_the_subjects_of_knees_csv_hold_where_labels_have_none(dated, run, relabelled):
    labels = dated / "labels.csv"
    if relabelled:
        run("make_labels", labels, dated / "again.csv")
        labels = dated / "again.csv"
    code, printed = run("make_dataset", dated / "knees", labels, dated / "set")
    assert code == 0 and "have no subject" not in printed
    splits = splits_by_person(dated / "set")
    assert len(splits) == PERSONS and {len(names) for names in splits.values()} == {1}
    assert {row["subject"] for row in read_rows(dated / "set" / "manifest.csv")} == {
        f"P{person}" for person in range(PERSONS)
    }


def test_where_no_table_knows_the_subject_it_is_said(dated, run):
    (dated / "knees" / "knees.csv").unlink()
    code, printed = run("make_dataset", dated / "knees", dated / "labels.csv", dated / "set")
    assert code == 0 and "60 of 60 films have no subject" in printed


def test_a_table_that_names_another_subject_is_one_sentence(dated, run):
    lines = (dated / "labels.csv").read_text().splitlines()
    lines = [lines[0] + ",subject", *(f"{line},P{index // 6}" for index, line in
                                      enumerate(lines[1:]))]
    lines[1] = lines[1].replace("P0", "P7")
    (dated / "labels.csv").write_text("\n".join(lines))
    code, printed = run("make_dataset", dated / "knees", dated / "labels.csv", dated / "set")
    assert code == 2 and "film00 has subject P7 in the labels, but subject P0" in printed


@pytest.mark.parametrize(
    ("of_labels", "of_film", "subject"),
    [("", "P", "P"), ("Q", "", "Q"), ("Q", "Q", "Q"), ("", "", ""), ("film", "P", "P"),
     ("Q", "P", None)],
)
def test_the_subject_that_is_known_is_used(of_labels, of_film, subject):
    labels = [{"id": "film", "subject": of_labels, "side": "R", "kl": 2}]
    knees = [{"id": "film", "side": "R", "source": "film_R.png"}]
    subjects = {"film": of_film} if of_film else {}
    if subject is None:
        with pytest.raises(InputError, match="film.*Q.*P"):
            pair(knees, labels, subjects)
    else:
        pairs, _, _ = pair(knees, labels, subjects)
        assert [row["subject"] for row in pairs] == [subject]


def test_one_side_s_label_knows_the_subject_of_both():
    labels = [{"id": "film", "subject": name, "side": side, "kl": 2}
              for side, name in (("R", ""), ("L", "Q"))]
    knees = [{"id": "film", "side": side, "source": f"film_{side}.png"} for side in "RL"]
    assert [row["subject"] for row in pair(knees, labels, {})[0]] == ["Q", "Q"]


def test_verify_looks_into_val_as_the_loader_does(tmp_path, run):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("A", "B") if split == "train" else (split,):
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(tmp_path / "set" / split / "1" / f"{name}_R.png", knee)
    assert run("make_dataset", "--verify", tmp_path / "set")[0] == 0
    write_image(tmp_path / "set" / "val" / "2" / "A_L.png", knee.T)
    code, printed = run("make_dataset", "--verify", tmp_path / "set")
    assert code == 1 and "subject A is in train and validation" in printed
    counts = {line.split()[0]: line.split()[-2] for line in printed.splitlines() if "   " in line}
    assert counts["validation"] == "2"


def test_the_tables_of_folders_in_the_folder_hold_too(dated, run):
    site = dated / "knees" / "site"
    site.mkdir()
    for path in list((dated / "knees").glob("*.*")):
        path.rename(site / path.name)
    code, printed = run("make_dataset", dated / "knees", dated / "labels.csv", dated / "set")
    assert code == 0 and "have no subject" not in printed
    assert {len(names) for names in splits_by_person(dated / "set").values()} == {1}
    (dated / "knees" / "knees.csv").write_text("id,subject\nfilm00,Q\n", encoding="utf-8")
    code, printed = run("make_dataset", dated / "knees", dated / "labels.csv", dated / "set")
    assert code == 2 and "film00 has subject P0, but subject Q in another row" in printed


def settled(*films, listed=""):
    """The subjects and visits of films `(folders, PatientID)`, and the rows that disagree."""
    rows = [{"source": f"/archive/{folders}/1", "patient": patient, "listed": listed}
            for folders, patient in films]  # fmt: skip
    found, disagreeing = with_subjects(rows)
    return [(film["subject"], film["visit"]) for film in found], disagreeing


@pytest.mark.parametrize("most_id", ["M2320", "MB00001", "MI50003"])
@pytest.mark.parametrize("patient", ["{}", "HNSH", "hnsh", "{}_HNSH", "14608", "146082", ""])
def test_folders_of_most_give_subject_and_visit(most_id, patient):
    folders = f"{most_id}_HNSH/V3/14608/PA15/146082"
    assert settled((folders, patient.format(most_id))) == ([(most_id, "V3")], [])


def test_two_persons_below_one_folder_are_two_subjects():
    films = [("M2320_HNSH/V0/a", "P1"), ("M2320_HNSH/V0/b", "P2"), ("M2320_HNSH/V3/c", "P1")]
    subjects, disagreeing = settled(*films)
    assert subjects == [("P1", "V0"), ("P2", "V0"), ("P1", "V3")]
    assert [row["patient"] for row in disagreeing] == ["P1", "P2", "P1"]


def test_a_stranger_below_a_person_s_folder_is_a_subject_of_its_own():
    films = [("M2320_HNSH/V0/a", "HNSH"), ("M2320_HNSH/V0/b", "P2"), ("M2320_HNSH/V3/c", "")]
    subjects, [found] = settled(*films)
    assert subjects == [("M2320", "V0"), ("P2", "V0"), ("M2320", "V3")]
    assert (found["patient"], found["subject"]) == ("P2", "P2")


def test_a_pseudonym_is_the_folder_s_person_and_said():
    """Grades are listed by MOSTID, and a pseudonym does not contradict it."""
    subjects, disagreeing = settled(("M2320_HNSH/V0/a", "anon7"), ("M2320_HNSH/V3/b", "anon7"))
    assert subjects == [("M2320", "V0"), ("M2320", "V3")]
    assert len(disagreeing) == 2


@pytest.mark.parametrize("patient", ["M2321", "M2321_ABCD", "MB00002"])
def test_another_most_id_in_the_header_wins(patient):
    subjects, [found] = settled(("M2320_HNSH/V0/a", patient))
    assert subjects == [(patient.split("_")[0], "V0")] and found["patient"] == patient


def test_two_folders_of_one_most_id_are_two_persons():
    films = [("M2320_HNSH/V0/a", "HNSH"), ("M2320_ABCD/V0/b", "ABCD"), ("M2320_ABCD/V3/c", "")]
    subjects, disagreeing = settled(*films)
    assert subjects == [("M2320_HNSH", "V0"), ("M2320_ABCD", "V0"), ("M2320_ABCD", "V3")]
    assert len(disagreeing) == 3


@pytest.mark.parametrize("folders", [
    "M2320/V0/a", "M232_HNSH/V0/a", "M2320_HNSH/0/a", "XB00001_HNSH/V0/a", "M2320_HNSH/b/V0",
])  # fmt: skip
def test_other_folders_are_none_of_most(folders):
    assert settled((folders, "P1")) == ([("P1", "")], [])


@pytest.mark.parametrize(
    ("patient", "listed", "subject", "disagrees"),
    [
        ("9000001", "", "9000001", False),
        ("", "", "9000001", False),
        ("9000002", "", "9000002", True),
        ("9000002", "9000003", "9000003", True),
        ("9000003", "9000003", "9000003", False),
        ("", "9000003", "9000003", False),
    ],
)
def test_oai_is_known_by_its_table_its_header_and_its_folders(patient, listed, subject, disagrees):
    folders = "00m/0.C.2/9000001/20040101/01234567"
    subjects, disagreeing = settled((folders, patient), listed=listed)
    assert subjects == [(subject, "")]
    assert bool(disagreeing) == disagrees


def test_rows_of_an_earlier_version_keep_their_subject():
    rows = [{"source": "/archive/MB00001_HNSH/V1/a/1", "subject": "MB00001"},
            {"source": "/archive/a/1", "subject": "P1"}]  # fmt: skip
    found, disagreeing = with_subjects(rows)
    assert [(film["subject"], film["visit"]) for film in found] == [("MB00001", "V1"), ("P1", "")]
    assert not disagreeing


def label(film, subject, side="R"):
    return {"id": film, "subject": subject, "side": side, "kl": 2}


def knee(film, side="R"):
    return {"id": film, "side": side, "source": f"{film}_{side}.png"}


@pytest.mark.parametrize(
    ("films", "labels", "subjects", "paired"),
    [
        (["9_016600000001"], [label("9_016600000001", "9")], {}, 1),
        (["9"], [label("9_016600000001", "9")], {}, 1),  # the knee's id is its subject
        (["9"], [label("9_016600000001", "9"), label("9_016600000002", "9")], {}, 0),
        # a film of another visit must not get this visit's grade
        (["9_016600000002"], [label("9_016600000001", "9")], {"9_016600000002": "9"}, 0),
        (["M_20040101"], [label("M_V0", "M")], {"M_20040101": "M"}, 1),
        (["M_1", "M_2"], [label("M_V0", "M")], {"M_1": "M", "M_2": "M"}, 0),
        (["M_1"], [label("M_V0", "M"), label("M_V1", "M")], {"M_1": "M"}, 0),
        (["A", "B"], [label("A", "P")], {"A": "P", "B": "P"}, 1),  # the label belongs to A
        # the film may belong to the visit without a label
        (["M_1"], [{**label("M_V5", "M"), "visits": "V0;V5"}], {"M_1": "M"}, 0),
        (["M_V5"], [{**label("M_V5", "M"), "visits": "V0;V5"}], {"M_V5": "M"}, 1),
    ],
)
def test_a_film_gets_its_own_label_or_none(films, labels, subjects, paired):
    pairs, left_over, unused = pair([knee(film) for film in films], labels, subjects)
    assert len(pairs) == paired
    assert len(left_over) == len(films) - paired and len(unused) == len(labels) - paired
