"""Input that `make_dataset.py` refuses, and files that it does not overwrite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from knee_attention.datasets.hdf5 import FORMAT
from knee_attention.films.cutting import CUTTING, Cutting, write_cutting
from knee_attention.films.image_files import read_image, write_image


def test_bad_usage_is_one_sentence(prepared, tmp_path, run):
    knees, labels = prepared / "knees", prepared / "labels.csv"
    (tmp_path / "two.csv").write_text("id,side,kl\nS000,R,1\nS001,R,1\n")
    (tmp_path / "other.csv").write_text("id,side,kl\nX,R,1\n")
    (tmp_path / "ungraded" / "train" / "S000").mkdir(parents=True)
    for arguments, sentence in (
        ((knees, labels, tmp_path / "a", "--test", 1.5), "between 0 and 1"),
        ((knees, labels, tmp_path / "a", "--seed", -1), "from 0 to 2^32 - 1"),
        ((knees, labels, tmp_path / "a", "--folds", 0), "from 1"),
        ((knees, labels, tmp_path / "a", "--folds", 2, "--test", 0.1), "cannot be combined"),
        ((knees, tmp_path / "two.csv", tmp_path / "b"), "too few subjects"),
        ((knees, tmp_path / "other.csv", tmp_path / "c"), "has a label"),
        (("--verify", tmp_path / "nowhere"), "does not exist"),
        (("--verify", knees), "is not a training set"),
        (("--verify", tmp_path / "ungraded"), "ungraded/train/S000: expected only grade folders"),
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
    assert code == 2 and "60 knees in" in printed.splitlines()[-1]
    assert len(list(out.glob("*/*/*.png"))) == 60


def test_the_set_of_a_folder_of_the_same_name_elsewhere_is_not_replaced(
    prepared, tmp_path, run, monkeypatch
):
    for place in ("here", "there"):
        shutil.copytree(prepared, tmp_path / place)
    for path in (tmp_path / "there" / "knees").glob("*.png"):
        path.rename(path.with_name(path.name.replace("S0", "T0")))
    labels = tmp_path / "there" / "labels.csv"
    labels.write_text(labels.read_text().replace("S0", "T0"))
    codes = []
    for place in ("here", "there"):
        monkeypatch.chdir(tmp_path / place)
        code, printed = run("make_dataset", "knees", "labels.csv", "../set")
        codes.append(code)
    assert codes == [0, 2] and "would be removed, but they come from another folder" in printed


def test_knees_that_were_cut_in_two_ways_are_no_set(prepared, tmp_path, run):
    for number, name in enumerate(("a", "b")):
        (tmp_path / "knees" / name).mkdir(parents=True)
        write_cutting(tmp_path / "knees" / name, Cutting(size=(40, 28 + 4 * number)))
    for path in (prepared / "knees").glob("*.png"):
        shutil.copy(path, tmp_path / "knees" / "a")
    made = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "set")
    code, printed = run("make_dataset", *made)
    assert code == 2 and "were cut in 2 ways" in printed.splitlines()[-1]
    (tmp_path / "knees" / "b" / CUTTING).unlink()
    assert run("make_dataset", *made)[0] == 0
    assert Cutting.read(tmp_path / "set") == Cutting(size=(40, 28))


def test_knees_without_a_record_do_not_get_that_of_others(prepared, tmp_path, run):
    for name in ("a", "b"):
        (tmp_path / "knees" / name).mkdir(parents=True)
    for path in (prepared / "knees").glob("*.png"):
        shutil.copy(path, tmp_path / "knees" / ("a" if path.stem.endswith("R") else "b"))
    write_cutting(tmp_path / "knees" / "a", Cutting(size=(40, 28)))
    made = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "set")
    code, printed = run("make_dataset", *made)
    assert code == 2
    assert f"{tmp_path / 'knees' / 'b'} holds knees and no {CUTTING}" in printed.splitlines()[-1]
    (tmp_path / "knees" / "a" / CUTTING).rename(tmp_path / "knees" / CUTTING)
    assert run("make_dataset", *made)[0] == 0
    assert Cutting.read(tmp_path / "set") == Cutting(size=(40, 28))


def test_a_manifest_of_the_user_s_own_hides_no_knees(prepared, tmp_path, run):
    shutil.copytree(prepared / "knees", tmp_path / "knees" / "site")
    (tmp_path / "knees" / "site" / "manifest.csv").write_text("name,size\n")
    made = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "knees" / "set")
    for _ in range(2):  # the set of the first run is not input of the second
        code, printed = run("make_dataset", *made)
        assert code == 0 and "written        60" in printed


def test_knees_behind_links_are_placed_as_files(prepared, tmp_path, run):
    (tmp_path / "knees").mkdir()
    for path in (prepared / "knees").glob("*.png"):
        (tmp_path / "knees" / path.name).symlink_to(os.path.relpath(path, tmp_path / "knees"))
    made = (tmp_path / "knees", prepared / "labels.csv", tmp_path / "set")
    assert run("make_dataset", *made)[0] == 0
    placed = list((tmp_path / "set").glob("*/*/*.png"))
    assert len(placed) == 60 and all(path.stat().st_size for path in placed)
    assert not any(path.is_symlink() for path in placed)


def test_options_that_no_set_can_be_made_with_do_not_bind_the_folder(prepared, tmp_path, run):
    (tmp_path / "two.csv").write_text("id,side,kl\nS000,R,1\nS001,R,1\n")
    few = (prepared / "knees", tmp_path / "two.csv", tmp_path / "set")
    text = (prepared / "labels.csv").read_text()
    (tmp_path / "torn.csv").write_text(text.replace("S000,P00,L", "S000,P01,L"))
    torn = (prepared / "knees", tmp_path / "torn.csv", tmp_path / "set")
    code, printed = run("make_dataset", *torn, "--seed", 3)
    assert code == 2 and "film S000 has subject P00 in the labels" in printed.splitlines()[-1]
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
    assert code == 2 and "was made with other options (test" in printed


def test_neither_labels_nor_foreign_files_are_written_over(prepared, tmp_path, run):
    (tmp_path / "set").mkdir()
    content = (prepared / "labels.csv").read_bytes()
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["weights"] = [1.0]
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.attrs["format"] = FORMAT
    model = (tmp_path / "model.h5").read_bytes()
    for labels, h5, sentence in (
        (tmp_path / "labels.h5", tmp_path / "labels.h5", "would be overwritten"),
        (tmp_path / "set" / "manifest.csv", tmp_path / "set.h5", "would be overwritten"),
        (tmp_path / "labels.csv", tmp_path / "labels.csv", "must end in .h5 or .hdf5"),
        (tmp_path / "labels.csv", tmp_path / "model.h5", "is not a training set"),
        (tmp_path / "labels.csv", tmp_path / "own.h5", "is not a training set"),
    ):
        labels.write_bytes(content)
        code, printed = run("make_dataset", prepared / "knees", labels, tmp_path / "set",
                            "--h5", h5)  # fmt: skip
        assert code == 2 and sentence in printed.splitlines()[-1], printed
        assert labels.read_bytes() == content
    assert (tmp_path / "model.h5").read_bytes() == model


def test_a_disk_that_is_full_ends_in_one_sentence(prepared, tmp_path):
    """In a process of its own, because HDF5 can crash at its end."""
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
