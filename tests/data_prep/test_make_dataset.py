"""`make_dataset.py`: its sets, and the splits of their persons."""

from collections import Counter

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import read_rows, summary_counts, write_films

from knee_attention.data_prep.splits import assign, split_shares
from knee_attention.datasets.layout import SPLITS
from knee_attention.films.image_files import read_image, write_image


def test_a_training_set(prepared, tmp_path, run):
    out, h5 = tmp_path / "set", tmp_path / "set.h5"
    arguments = (prepared / "knees", prepared / "labels.csv", out, "--h5", h5)
    code, printed = run("make_dataset", *arguments)
    assert code == 0 and summary_counts(printed)[:2] == (60, 60)
    rows = read_rows(out / "manifest.csv")
    splits_of = {}
    for row in rows:
        splits_of.setdefault(row["subject"], set()).add(row["split"])
        assert row["file"] == f"{row['split']}/{row['kl']}/{row['id']}_{row['side']}.png"
        assert (out / row["file"]).samefile(row["source"])  # a hard link
        assert int(row["kl"]) == int(row["id"][1:]) % 5
    assert len(splits_of) == 15 and all(len(splits) == 1 for splits in splits_of.values())
    assert (out / "grades.png").stat().st_size > 1000

    with h5py.File(h5) as file:
        assert file.attrs["format"] == "knee_attention dataset 1"
        assert file["images"].chunks == (1, 40, 28) and file["grades"].dtype == np.int8
        for name in ("id", "side", "subject", "split"):
            assert file[f"{name}s"].asstr()[:].tolist() == [row[name] for row in rows]
        assert file["grades"][:].tolist() == [int(row["kl"]) for row in rows]
        for image, row in zip(file["images"], rows, strict=True):
            np.testing.assert_array_equal(image, read_image(out / row["file"]))

    for finished in (out, h5):
        code, printed = run("make_dataset", "--verify", finished)
        assert code == 0 and "no faults" in printed


def test_a_second_run_writes_nothing(prepared, tmp_path, run):
    arguments = (prepared / "knees", prepared / "labels.csv", tmp_path / "set")
    arguments += ("--copy", "--h5", tmp_path / "set.h5")
    run("make_dataset", *arguments)
    rows = read_rows(tmp_path / "set" / "manifest.csv")
    files = [tmp_path / "set" / row["file"] for row in rows] + [tmp_path / "set.h5"]
    assert not files[0].samefile(rows[0]["source"])
    (tmp_path / "set" / "test" / "0" / ".99.S000_L.png").write_bytes(b"half")
    (tmp_path / ".99.set.h5").write_bytes(b"half")
    files.pop(0).unlink()
    before = [path.stat().st_mtime_ns for path in files]
    code, printed = run("make_dataset", *arguments)
    assert code == 0 and "1 knees added, 59 existed already" in printed
    assert [path.stat().st_mtime_ns for path in files] == before
    assert (tmp_path / "set" / rows[0]["file"]).exists()
    assert not list(tmp_path.rglob(".99.*"))
    code, printed = run("make_dataset", *arguments, "--seed", 1)
    assert code == 2 and "made with other options (seed" in printed


def test_folds_test_every_knee_once(prepared, tmp_path, run):
    out = tmp_path / "set"
    arguments = (prepared / "knees", prepared / "labels.csv", out, "--folds", 3)
    assert run("make_dataset", *arguments, "--h5", tmp_path / "set.h5")[0] == 0
    tested = Counter()
    for fold in (1, 2, 3):
        rows = read_rows(out / f"fold{fold}" / "manifest.csv")
        assert len(rows) == 60
        tested.update((row["id"], row["side"]) for row in rows if row["split"] == "test")
        assert (tmp_path / f"set-fold{fold}.h5").exists()
    assert len(tested) == 60 and set(tested.values()) == {1}
    code, printed = run("make_dataset", "--verify", out)
    assert code == 0 and printed.count("no faults") == 3


def test_by_knee_lets_the_knees_of_a_subject_part(prepared, tmp_path, run):
    arguments = (prepared / "knees", prepared / "labels.csv", tmp_path / "set", "--by-knee")
    assert run("make_dataset", *arguments)[0] == 0
    splits_of = {}
    for row in read_rows(tmp_path / "set" / "manifest.csv"):
        splits_of.setdefault(row["subject"], set()).add(row["split"])
    assert any(len(splits) > 1 for splits in splits_of.values())
    code, printed = run("make_dataset", "--verify", tmp_path / "set")
    assert code == 1 and "subject P" in printed


def test_what_does_not_fit_is_named_and_nothing_else_is_lost(prepared, tmp_path, run):
    knees = tmp_path / "Knie ä"
    knees.mkdir()
    for path in (prepared / "knees").iterdir():
        (knees / path.name).write_bytes(path.read_bytes())
    whole = (knees / "S000_R.png").read_bytes()
    (knees / "S000_R.png").write_bytes(whole[: len(whole) // 2])
    (knees / "S001_L.png").unlink()
    (knees / "unknown_R.png").write_bytes(whole)
    (knees / "knee.png").write_bytes(whole)
    (knees / "notes.txt").write_text("words")
    (knees / "again").mkdir()
    (knees / "again" / "S002_R.png").write_bytes(whole)
    labels = (prepared / "labels.csv").read_text()
    labels = labels.replace("P01,L,3", "P01,L,9").replace("P02,L,4", "P02,L,abc")
    (tmp_path / "labels.csv").write_text(labels)

    code, printed = run("make_dataset", knees, tmp_path / "labels.csv", tmp_path / "set")
    assert code == 0 and summary_counts(printed) == (63, 55, 8)
    rows = read_rows(tmp_path / "set" / "excluded.csv")
    assert Counter(row["reason"] for row in rows) == {
        "the image is truncated": 1,
        "the knee has no label": 3,
        "the name does not end in _R or _L": 1,
        "not an image file (.txt)": 1,
        "another file has the same id and side": 2,
        "the label has no knee": 3,
        "no grade: 9": 1,
        "no grade: abc": 1,
    }


def test_verify_finds_every_fault(prepared, tmp_path, run):
    out = tmp_path / "set"
    run("make_dataset", prepared / "knees", prepared / "labels.csv", out, "--copy")
    rows = read_rows(out / "manifest.csv")
    test = [row for row in rows if row["split"] == "test"]
    (out / test[0]["file"]).unlink()
    (out / test[1]["file"]).write_bytes(b"words")
    copy = (out / test[2]["file"]).read_bytes()
    (out / "train" / "0" / "S777_R.png").write_bytes(copy)
    code, printed = run("make_dataset", "--verify", out)
    assert code == 1
    assert f"{test[0]['file']} is in manifest.csv, but the file is missing" in printed
    assert f"{test[1]['file']}: not an image, or a damaged one" in printed
    assert "train/0/S777_R.png is not in manifest.csv" in printed
    assert "2 files hold the same image" in printed


def test_links_become_copies_when_copies_are_asked_for(prepared, tmp_path, run):
    arguments = (prepared / "knees", prepared / "labels.csv", tmp_path / "set")
    run("make_dataset", *arguments)
    code, printed = run("make_dataset", *arguments, "--copy")
    assert code == 0 and "60 knees added, 0 existed already" in printed
    assert {path.stat().st_nlink for path in (tmp_path / "set").glob("*/*/*.png")} == {1}
    code, printed = run("make_dataset", *arguments, "--copy")
    assert code == 0 and "0 knees added, 60 existed already" in printed


def test_pixels_that_changed_are_written_anew(prepared, tmp_path, run):
    for path in (prepared / "knees").iterdir():
        write_image(tmp_path / "knees" / path.name, read_image(path))
    arguments = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "set")
    arguments += ("--h5", tmp_path / "set.h5")
    run("make_dataset", *arguments)
    write_image(tmp_path / "knees" / "S003_R.png", np.full((40, 28), 7, np.uint8))
    code, printed = run("make_dataset", *arguments)
    assert code == 0 and "set.h5: written" in printed
    with h5py.File(tmp_path / "set.h5") as file:
        names = file["ids"].asstr()[:] + file["sides"].asstr()[:]
        [knee] = file["images"][:][names == "S003R"]
    assert (knee == 7).all()


def test_a_training_set_says_how_its_knees_were_cut(tmp_path, run):
    from knee_attention.datasets.dataset import load_dataset, preparation_of
    from knee_attention.films.cutting import Cutting
    from knee_attention.films.preparation import Preparation

    table = write_films(tmp_path / "films", 12)
    options = "--split middle --size 80 56 --fit pad --equalize none --flip-left".split()
    run("split_knees", tmp_path / "films", tmp_path / "knees", *options)
    (tmp_path / "knees" / "cutting.json").rename(tmp_path / "record")
    arguments = (tmp_path / "knees", table, tmp_path / "set", "--h5", tmp_path / "set.h5")
    cuttings = [None, Cutting("middle", (80, 56), "pad", "none", flip_left=True)]
    for cutting in cuttings:  # a folder without a record, then the same folder with one
        code, printed = run("make_dataset", *arguments)
        assert code == 0 and summary_counts(printed) == (24, 24, 0), printed
        for name in ("set", "set.h5"):
            preparation = load_dataset(tmp_path / name, (80, 56)).preparation
            assert preparation == preparation_of(tmp_path / name) == Preparation(cutting), name
        if not cutting:
            (tmp_path / "record").rename(tmp_path / "knees" / "cutting.json")

    (tmp_path / "knees" / "cutting.json").write_text('{"size": [80, 56], "fit": "squeeze"}')
    code, printed = run("make_dataset", *arguments)
    assert code == 2 and "unknown options for cutting knees" in printed.splitlines()[-1]


def test_positives_of_16_bits_are_the_same_in_both_kinds_of_set(tmp_path, run):
    """Every second of 511 grey values lies half-way between two 8-bit values."""
    from knee_attention.datasets.dataset import load_dataset

    table = write_films(tmp_path / "films", 12)
    run("split_knees", tmp_path / "films", tmp_path / "whole", "--equalize", "none")
    for path in (tmp_path / "whole").glob("*.png"):
        knee = read_image(path).astype(np.uint16) * 2
        knee[1::2] = np.minimum(knee[1::2] + 1, 510)
        knee[0, :2] = 0, 510
        write_image(tmp_path / "knees" / path.name, knee)
    arguments = (tmp_path / "knees", table, tmp_path / "set", "--h5", tmp_path / "set.h5")
    assert run("make_dataset", *arguments)[0] == 0
    folder, file = (load_dataset(tmp_path / name, (320, 224)) for name in ("set", "set.h5"))
    for split, knees in folder.splits.items():
        np.testing.assert_array_equal(knees.images, file.splits[split].images)


SUBJECTS_THAT_SUFFICE = 100  # per grade, for shares within 1.5 percentage points


@st.composite
def knee_tables(draw, smallest: int = 3, largest: int = 800) -> tuple[list[str], list[int]]:
    """Subjects with one to three visits and one or two knees each, and unevenly frequent grades."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = np.array(draw(st.lists(st.floats(0.03, 1), min_size=5, max_size=5)))
    correlation, visits = draw(st.floats(0, 1)), draw(st.integers(1, 3))
    subjects, grades = [], []
    for subject in range(draw(st.integers(smallest, largest))):
        usual = rng.choice(5, p=weights / weights.sum())
        for _ in range(rng.integers(1, visits + 1)):
            for _ in range(rng.integers(1, 3)):
                other = rng.choice(5, p=weights / weights.sum())
                subjects.append(f"P{subject}")
                grades.append(int(usual if rng.random() < correlation else other))
    return subjects, grades


@settings(max_examples=30, deadline=None)
@given(knee_tables(), st.integers(0, 99), st.randoms(use_true_random=False))
def test_any_table(table, seed, random):
    subjects, grades = table
    shares = split_shares()
    assignment = assign(subjects, grades, shares, seed)
    assert assignment.keys() == set(subjects)  # every subject has exactly one split
    assert set(assignment.values()) == set(SPLITS)

    order = list(range(len(subjects)))
    random.shuffle(order)
    again = assign([subjects[at] for at in order], [grades[at] for at in order], shares, seed)
    assert again == assignment

    holders = Counter(grade for _, grade in set(zip(subjects, grades, strict=True)))
    knees = Counter(grades)
    here = Counter((assignment[subject], grade) for subject, grade in zip(*table, strict=True))
    if all(holders[grade] >= SUBJECTS_THAT_SUFFICE for grade in knees):
        for split, share in shares.items():
            for grade, count in knees.items():
                assert abs(here[split, grade] / count - share) <= 0.015


@settings(max_examples=15, deadline=None)
@given(knee_tables(smallest=700))
def test_shares_of_large_tables(table):
    subjects, grades = table
    shares = split_shares(test=0.25, validation=0.2)
    assignment = assign(subjects, grades, shares, seed=1)
    splits = np.array([assignment[subject] for subject in subjects])
    for grade, count in Counter(grades).items():
        if count >= 2 * SUBJECTS_THAT_SUFFICE:
            for split, share in shares.items():
                assert abs((splits[np.array(grades) == grade] == split).mean() - share) <= 0.015


def test_seeds_draw_different_subjects():
    subjects, grades = [f"P{index}" for index in range(300)], [index % 5 for index in range(300)]
    one, other = (assign(subjects, grades, split_shares(), seed) for seed in (0, 1))
    assert one != other


def test_the_papers_shares():
    assert {name: round(share, 4) for name, share in split_shares().items()} == {
        "train": 0.63,
        "validation": 0.07,
        "test": 0.3,
    }
    assert assign([], [], split_shares()) == {}
