"""Runs on older outputs: stale ones are removed, and a killed run continues."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_ins import read_rows, summary_counts, write_films

from knee_attention.data_prep import film_to_knees
from knee_attention.data_prep.journal import JOURNAL, Journal
from knee_attention.errors import ImageError
from knee_attention.films.image_files import read_image, write_image
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.folder_lock import locked

ROOT = Path(__file__).parents[2]

def knees_in(folder):
    return sorted(path.name for path in folder.glob("*.png"))


@pytest.fixture
def split(tmp_path, run):
    write_films(tmp_path / "films", 3)
    run("split_knees", tmp_path / "films", tmp_path / "knees")
    return tmp_path


@pytest.mark.parametrize("how", ["deleted", "damaged", "ambiguous"])
def test_knees_of_a_film_that_is_gone_or_excluded_go(split, run, how):
    film = split / "films" / "S001.png"
    if how == "deleted":
        film.unlink()
    elif how == "damaged":
        film.write_bytes(film.read_bytes()[:300])
    else:
        (split / "films" / "again").mkdir()
        (split / "films" / "again" / "S001.png").write_bytes(film.read_bytes())
    code, printed = run("split_knees", split / "films", split / "knees")
    assert code == 0 and "removed         2" in printed
    summary_counts(printed)
    assert knees_in(split / "knees") == [f"S00{n}_{side}.png" for n in (0, 2) for side in "LR"]
    assert "removed" not in run("split_knees", split / "films", split / "knees")[1]


def test_knees_belong_to_the_film_that_was_cut_last(split, run):
    """A film returns after another film with its name was cut."""
    first, second = split / "films" / "S001.png", split / "films" / "S001.tif"
    expected = read_image(split / "knees" / "S001_R.png")
    first.rename(split / "aside.png")
    cv2.imwrite(str(second), phantom_film((4, 4), 9, height=160).image)
    run("split_knees", split / "films", split / "knees")
    assert not np.array_equal(read_image(split / "knees" / "S001_R.png"), expected)
    second.unlink()
    (split / "aside.png").rename(first)
    run("split_knees", split / "films", split / "knees")
    np.testing.assert_array_equal(read_image(split / "knees" / "S001_R.png"), expected)


@pytest.mark.parametrize("how", ["renamed", "written over"])
def test_two_films_of_one_size_and_time_that_change_names_are_cut_again(tmp_path, run, how):
    """Uncompressed films from one archive have the same size and modification time."""
    films = [tmp_path / "films" / name for name in ("S001.bmp", "S002.bmp")]
    films[0].parent.mkdir()
    for film, grades in zip(films, ((0, 1), (4, 3)), strict=True):
        cv2.imwrite(str(film), phantom_film(grades, grades[0], height=160).image)
        os.utime(film, (1e9, 1e9))
    assert films[0].stat().st_size == films[1].stat().st_size
    run("split_knees", films[0].parent, tmp_path / "knees")
    cut = [read_image(tmp_path / "knees" / f"{film.stem}_R.png") for film in films]
    assert not np.array_equal(*cut)
    if how == "renamed":
        films[0].rename(tmp_path / "aside")
        films[1].rename(films[0])
        (tmp_path / "aside").rename(films[1])
    else:
        first, second = (film.read_bytes() for film in films)
        films[0].write_bytes(second)
        films[1].write_bytes(first)
        for film in films:
            os.utime(film, (1e9, 1e9))
    run("split_knees", films[0].parent, tmp_path / "knees")
    again = [read_image(tmp_path / "knees" / f"{film.stem}_R.png") for film in films]
    np.testing.assert_array_equal(again, cut[::-1])


def test_a_film_that_is_replaced_while_it_is_cut_is_cut_again(tmp_path):
    source, outcome = tmp_path / "film.png", {"rows": [], "reason": None}
    source.write_bytes(b"first")
    journal = Journal(tmp_path / "out" / JOURNAL, {})
    assert journal.finished(source) is None
    source.write_bytes(b"another film")
    journal.add(source, outcome)
    assert journal.finished(source) is None
    journal.add(source, outcome)
    assert journal.finished(source)


def test_knees_of_another_folder_stay_and_are_said(split, run):
    write_films(split / "others", 5)
    for name in ("S000.png", "S001.png", "S002.png"):
        (split / "others" / name).unlink()
    code, printed = run("split_knees", split / "others", split / "knees")
    assert code == 0 and "elsewhere       6" in printed and "removed" not in printed
    assert len(knees_in(split / "knees")) == 10
    assert len(read_rows(split / "knees" / "knees.csv")) == 10
    (split / "others" / "S004.png").unlink()
    run("split_knees", split / "others", split / "knees")
    files = [row["file"] for row in read_rows(split / "knees" / "knees.csv")]
    assert sorted(files) == knees_in(split / "knees") and len(files) == 8


def test_a_film_of_another_folder_does_not_replace_the_knees_of_the_same_id(split, run):
    write_films(split / "others", 4)
    film = split / "others" / "S001.png"
    cv2.imwrite(str(film), phantom_film((4, 4), 9, height=160).image)
    (split / "films" / "S002.png").unlink()
    expected = read_image(split / "knees" / "S001_R.png")
    code, printed = run("split_knees", split / "others", split / "knees")
    assert code == 0 and summary_counts(printed) == (4, 2, 2)
    assert "2  a film of another folder has the same id" in printed
    np.testing.assert_array_equal(read_image(split / "knees" / "S001_R.png"), expected)
    sources = {row["id"]: row["source"] for row in read_rows(split / "knees" / "knees.csv")}
    assert sources["S001"] == str(split / "films" / "S001.png") and len(sources) == 4


def test_a_link_to_the_folder_of_films_is_no_other_folder(split, run):
    (split / "link").symlink_to(split / "films")
    code, printed = run("split_knees", split / "link", split / "knees")
    assert code == 0 and summary_counts(printed) == (3, 3, 0)


def test_a_temporary_error_removes_no_knees(split, run, monkeypatch):
    def unreadable(path):
        raise ImageError(path, "Input/output error", temporary=True)

    (split / "films" / "S001.png").touch()
    (split / "films" / "S002.png").unlink()
    whole = film_to_knees.read_radiograph
    monkeypatch.setattr(film_to_knees, "read_radiograph",
                        lambda path: (unreadable if path.stem == "S001" else whole)(path))
    code, printed = run("split_knees", split / "films", split / "knees")
    assert code == 0 and summary_counts(printed) == (2, 1, 1) and "removed         2" in printed
    files = [row["file"] for row in read_rows(split / "knees" / "knees.csv")]
    assert sorted(files) == knees_in(split / "knees") and len(files) == 4


@pytest.mark.parametrize("script", ["dicom_to_png", "split_knees", "make_dataset"])
def test_a_folder_in_which_another_process_works_is_refused(tmp_path, run, script):
    inputs = ["input"] * (2 if script == "make_dataset" else 1)
    with locked(tmp_path / "out"):
        remains = tmp_path / "out" / ".123.S000_R.png"
        remains.touch()
        code, printed = run(script, *inputs, tmp_path / "out")
        assert code == 2 and "is working there" in printed and remains.exists()


def test_films_of_a_dicom_file_that_is_gone_go(tmp_path, run):
    pytest.importorskip("pydicom")
    from dicom_files import write_dicom

    stored = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)
    for name in ("a", "b"):
        write_dicom(tmp_path / "tree" / name, stored, PatientID=f"P{name}")
    run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    (tmp_path / "tree" / "a").unlink()
    code, printed = run("dicom_to_png", tmp_path / "tree", tmp_path / "films")
    assert code == 0 and "removed         1" in printed
    assert knees_in(tmp_path / "films") == ["Pb_20040101.png"]


@pytest.fixture
def placed(tmp_path, run):
    """A training set of twelve films, and the arguments of its command."""
    lines, rng = ["id,subject,side,kl"], np.random.default_rng(0)
    for index in range(12):
        for side in "RL":
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(tmp_path / "prepared" / f"S{index:02d}_{side}.png", knee)
            lines.append(f"S{index:02d},P{index},{side},{index % 5}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    arguments = (tmp_path / "prepared", tmp_path / "labels.csv", tmp_path / "set")
    assert run("make_dataset", *arguments)[0] == 0
    return tmp_path, arguments


def test_knees_that_are_gone_leave_the_training_set(placed, run):
    folder, arguments = placed
    (folder / "prepared" / "S03_R.png").unlink()
    code, printed = run("make_dataset", *arguments)
    assert code == 0, printed
    assert "from an earlier run removed" in printed
    files = sorted(path.name for path in (folder / "set").glob("*/*/*.png"))
    assert files == sorted(row["file"].split("/")[-1] for row in
                           read_rows(folder / "set" / "manifest.csv"))
    assert len(files) == 23 and "S03_R.png" not in files
    assert run("make_dataset", "--verify", folder / "set")[0] == 0


def test_knees_of_someone_else_are_not_removed(placed, run):
    folder, arguments = placed
    stranger = folder / "set" / "train" / "0" / "mine_R.png"
    write_image(stranger, np.eye(40, dtype=np.uint8) * 200)
    code, printed = run("make_dataset", *arguments)
    assert code == 2 and "holds 1 knees that do not belong to this split" in printed
    assert stranger.exists() and len(list((folder / "set").glob("*/*/S*.png"))) == 24


def test_a_run_that_comes_to_nothing_removes_nothing(placed, split, run):
    folder, (knees, _, out) = placed
    (folder / "wrong.csv").write_text("id,side,kl\nX,R,1\n")
    code, printed = run("make_dataset", knees, folder / "wrong.csv", out)
    assert code == 2 and "has a label" in printed
    assert len(list(out.glob("*/*/*.png"))) == 24
    for film in (split / "films").glob("*.png"):
        film.write_bytes(b"words")
    assert run("split_knees", split / "films", split / "knees")[0] == 2
    assert (split / "knees" / "S001_R.png").exists()


def test_split_knees_is_killed_and_goes_on(tmp_path):
    films, out = tmp_path / "films", tmp_path / "knees"
    write_films(films, 4)
    large = cv2.resize(read_image(films / "S000.png"), (3000, 2400))
    for index in range(12):
        cv2.imwrite(str(films / f"large{index:02d}.png"), large)
    command = [sys.executable, ROOT / "data_prep" / "split_knees.py", films, out, "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob("large*.png"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    time.sleep(0.5)  # the workers need time to notice
    finished = {path: path.stat().st_mtime_ns for path in out.glob("[!.]*.png")}
    assert 6 <= len(finished) < 32
    assert all(read_image(path).shape == (320, 224) for path in finished)
    journal = (out / ".journal.jsonl").read_text()

    subprocess.run(command, check=True, capture_output=True)
    assert len(list(out.glob("[!.]*.png"))) == 32
    assert not [path for path in out.glob(".*") if path.name != ".journal.jsonl"]
    kept = [path for path in finished if path.name in journal]
    assert kept and all(path.stat().st_mtime_ns == finished[path] for path in kept)


def test_help_is_instant():
    for script in sorted((ROOT / "data_prep").glob("*.py")):
        command = [sys.executable, "-X", "importtime", script, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert not loaded & {"keras", "tensorflow", "cv2", "pandas", "numpy", "pydicom"}
