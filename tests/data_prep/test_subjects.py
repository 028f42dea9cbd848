"""All knees of a person are in one split, whichever table names the person."""

import numpy as np
import pytest
from films_on_disk import read_rows, write_films

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


def test_films_of_a_tree_keep_their_subjects(tmp_path, run):
    table = write_films(tmp_path / "films", 12)
    lines = ["id,subject", *(f"S{index:03d},P{index // 2}" for index in range(12))]
    (tmp_path / "films" / "images.csv").write_text("\n".join(lines))
    run("split_knees", tmp_path / "films", tmp_path / "knees")
    code, printed = run("make_dataset", tmp_path / "knees", table, tmp_path / "set")
    assert code == 0, printed
    for row in read_rows(tmp_path / "set" / "manifest.csv"):
        assert row["subject"] == f"P{int(row['id'][1:]) // 2}"


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
