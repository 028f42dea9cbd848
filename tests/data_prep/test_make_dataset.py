import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from films_on_disk import account_of, read_rows, write_films

from knee_attention.films.image_files import read_image, write_image


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Thirty small knees-to-be of 15 subjects and their labels; a knee's pixels are its own."""
    folder = tmp_path_factory.mktemp("prepared")
    lines, rng = ["id,subject,side,kl"], np.random.default_rng(0)
    for index in range(30):
        for side in "RL":
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(folder / "knees" / f"S{index:03d}_{side}.png", knee)
            lines.append(f"S{index:03d},P{index // 2:02d},{side},{index % 5}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_training_set(prepared, tmp_path, run):
    out, h5 = tmp_path / "set", tmp_path / "set.h5"
    arguments = (prepared / "knees", prepared / "labels.csv", out, "--h5", h5)
    code, printed = run("make_dataset", *arguments)
    assert code == 0 and account_of(printed)[:2] == (60, 60)
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
    assert code == 0 and "1 knees placed, 59 were there" in printed
    assert [path.stat().st_mtime_ns for path in files] == before
    assert (tmp_path / "set" / rows[0]["file"]).exists()
    assert not list(tmp_path.rglob(".99.*"))
    code, printed = run("make_dataset", *arguments, "--seed", 1)
    assert code == 2 and "begun with another seed" in printed


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
    assert code == 0 and account_of(printed) == (63, 55, 8)
    rows = read_rows(tmp_path / "set" / "excluded.csv")
    assert Counter(row["reason"] for row in rows) == {
        "the image is truncated": 1,
        "a knee without a label": 3,
        "the name does not end in _R or _L": 1,
        "no image file (.txt)": 1,
        "another file has the same id and side": 2,
        "a label without a knee": 3,
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
    assert f"{test[0]['file']} is in manifest.csv and missing" in printed
    assert f"{test[1]['file']}: not an image, or a damaged one" in printed
    assert "train/0/S777_R.png is not in manifest.csv" in printed
    assert "the same image 2 times" in printed


def test_bad_usage_is_one_sentence(prepared, tmp_path, run):
    knees, labels = prepared / "knees", prepared / "labels.csv"
    (tmp_path / "two.csv").write_text("id,side,kl\nS000,R,1\nS001,R,1\n")
    (tmp_path / "other.csv").write_text("id,side,kl\nX,R,1\n")
    for arguments, sentence in (
        ((knees, labels, tmp_path / "a", "--test", 1.5), "between 0 and 1"),
        ((knees, labels, tmp_path / "a", "--seed", -1), "from 0 to 2^32 - 1"),
        ((knees, labels, tmp_path / "a", "--folds", 0), "from 1"),
        ((knees, tmp_path / "two.csv", tmp_path / "b"), "too few subjects"),
        ((knees, tmp_path / "other.csv", tmp_path / "c"), "has a label"),
        (("--verify", tmp_path / "nowhere"), "does not exist"),
        (("--verify", knees), "is no training set"),
    ):
        code, printed = run("make_dataset", *arguments)
        assert code == 2 and sentence in printed.splitlines()[-1]


def test_the_set_of_other_knees_is_not_replaced(prepared, tmp_path, run):
    out = tmp_path / "set"
    assert run("make_dataset", prepared / "knees", prepared / "labels.csv", out)[0] == 0
    lines = (prepared / "labels.csv").read_text().replace("S0", "T0").replace("P", "Q")
    (tmp_path / "other.csv").write_text(lines)
    (tmp_path / "other").mkdir()
    for path in (prepared / "knees").glob("*.png"):
        (tmp_path / "other" / path.name.replace("S0", "T0")).write_bytes(path.read_bytes())
    code, printed = run("make_dataset", tmp_path / "other", tmp_path / "other.csv", out)
    assert code == 2 and "60 knees that would be removed" in printed.splitlines()[-1]
    assert len(list(out.glob("*/*/*.png"))) == 60


def test_links_become_copies_when_copies_are_asked_for(prepared, tmp_path, run):
    arguments = (prepared / "knees", prepared / "labels.csv", tmp_path / "set")
    run("make_dataset", *arguments)
    code, printed = run("make_dataset", *arguments, "--copy")
    assert code == 0 and "60 knees placed, 0 were there" in printed
    assert {path.stat().st_nlink for path in (tmp_path / "set").glob("*/*/*.png")} == {1}
    code, printed = run("make_dataset", *arguments, "--copy")
    assert code == 0 and "0 knees placed, 60 were there" in printed


def test_options_that_no_set_can_be_made_with_do_not_bind_the_folder(prepared, tmp_path, run):
    (tmp_path / "two.csv").write_text("id,side,kl\nS000,R,1\nS001,R,1\n")
    few = (prepared / "knees", tmp_path / "two.csv", tmp_path / "set")
    (tmp_path / "other.csv").write_text("id,side,kl\nX,R,1\n")
    strange = (prepared / "knees", tmp_path / "other.csv", tmp_path / "set")
    code, printed = run("make_dataset", *strange, "--test", 0.2)
    assert code == 2 and "has a label" in printed.splitlines()[-1]
    code, printed = run("make_dataset", *few, "--test", 0.4)
    assert code == 2 and "too few subjects" in printed.splitlines()[-1]
    made = (prepared / "knees", prepared / "labels.csv", tmp_path / "set")
    code, printed = run("make_dataset", *made)
    assert code == 0, printed
    code, printed = run("make_dataset", *made, "--test", 0.5)
    assert code == 2 and "was begun with another test" in printed


def test_neither_labels_nor_foreign_files_are_written_over(prepared, tmp_path, run):
    (tmp_path / "set").mkdir()
    content = (prepared / "labels.csv").read_bytes()
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["weights"] = [1.0]
    model = (tmp_path / "model.h5").read_bytes()
    for labels, h5, sentence in (
        (tmp_path / "labels.h5", tmp_path / "labels.h5", "would be written over"),
        (tmp_path / "set" / "manifest.csv", tmp_path / "set.h5", "would be written over"),
        (tmp_path / "labels.csv", tmp_path / "labels.csv", "ends in .h5 or .hdf5"),
        (tmp_path / "labels.csv", tmp_path / "model.h5", "is there already and no training set"),
    ):
        labels.write_bytes(content)
        code, printed = run("make_dataset", prepared / "knees", labels, tmp_path / "set",
                            "--h5", h5)  # fmt: skip
        assert code == 2 and sentence in printed.splitlines()[-1], printed
        assert labels.read_bytes() == content
    assert (tmp_path / "model.h5").read_bytes() == model


def test_a_disk_that_is_full_ends_in_one_sentence(prepared, tmp_path):
    """In a process of its own: HDF5 used to crash when it ended."""
    pytest.importorskip("resource")
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000));"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script = Path(__file__).parents[2] / "data_prep" / "make_dataset.py"
    arguments = [prepared / "knees", prepared / "labels.csv", tmp_path / "set", "--workers", 1,
                 "--h5", tmp_path / "set.h5"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, script, *map(str, arguments)],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said == f"make_dataset.py: {tmp_path / 'set.h5'} cannot be written: File too large"
    assert not list(tmp_path.glob("*.h5")) and not list(tmp_path.glob(".*.h5"))


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


def test_subjects_need_a_table_with_ids(prepared, tmp_path, run):
    for path in (prepared / "knees").iterdir():
        write_image(tmp_path / "knees" / path.name, read_image(path))
    table = tmp_path / "knees" / "knees.csv"
    table.write_text("subject,file\nP1,S001_R.png\n")
    code, printed = run("make_dataset", tmp_path / "knees", prepared / "labels.csv", tmp_path / "a")
    assert code == 2 and f"{table}: expected a column id" in printed.splitlines()[-1]


def test_h5_needs_knees_of_one_size(prepared, tmp_path, run):
    (tmp_path / "knees").mkdir()
    for path in (prepared / "knees").iterdir():
        (tmp_path / "knees" / path.name).write_bytes(path.read_bytes())
    write_image(tmp_path / "knees" / "S000_R.png", np.arange(900, dtype=np.uint16).reshape(30, 30))
    arguments = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "set")
    code, printed = run("make_dataset", *arguments, "--h5", tmp_path / "set.h5")
    assert code == 2 and "one size. Received: 30x30, 40x28" in printed


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
    for cutting in cuttings:  # an old folder without the record, then the same with it
        code, printed = run("make_dataset", *arguments)
        assert code == 0 and account_of(printed) == (24, 24, 0), printed
        for name in ("set", "set.h5"):
            preparation = load_dataset(tmp_path / name, (80, 56)).preparation
            assert preparation == preparation_of(tmp_path / name) == Preparation(cutting), name
        if not cutting:
            (tmp_path / "record").rename(tmp_path / "knees" / "cutting.json")

    (tmp_path / "knees" / "cutting.json").write_text('{"size": [80, 56], "fit": "squeeze"}')
    code, printed = run("make_dataset", *arguments)
    assert code == 2 and "cut in a way that is not known here" in printed.splitlines()[-1]


def test_the_pipeline_and_both_kinds_of_set_give_the_same_knees(tmp_path, run):
    from knee_attention.datasets.dataset import load_dataset

    table = write_films(tmp_path / "films", 12)
    run("split_knees", tmp_path / "films", tmp_path / "knees")
    run("make_labels", table, tmp_path / "labels.csv")
    arguments = (tmp_path / "knees", tmp_path / "labels.csv", tmp_path / "set")
    code, printed = run("make_dataset", *arguments, "--h5", tmp_path / "set.h5")
    assert code == 0, printed
    folder, file = (load_dataset(tmp_path / name, (320, 224)) for name in ("set", "set.h5"))
    for split, knees in folder.splits.items():
        stored = file.splits[split]
        positions = np.arange(len(knees))
        np.testing.assert_array_equal(knees.images[positions], stored.images[positions])
        np.testing.assert_array_equal(knees.grades, stored.grades)
        assert knees.subjects == stored.subjects
