"""Files are written atomically, tables escape formulas; a bad file gives one sentence."""

import csv
import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from knee_attention.commands.grade import _table
from knee_attention.data_prep.grade_tables import rows_kept
from knee_attention.data_prep.pairing import subjects_of_films
from knee_attention.datasets.layout import MANIFEST, read_manifest
from knee_attention.errors import ImageError, InputError
from knee_attention.evidence.predictions import Predictions, read_predictions, write_predictions
from knee_attention.files import (
    escaped,
    files_below,
    keep_inputs,
    make_folder,
    read_json,
    remove_remains,
    table_rows,
    unescaped,
    write_json,
    write_table,
    written_whole,
)
from knee_attention.networks.files.model_files import load_model, save_model
from knee_attention.networks.model import build_model
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.finished.publishing import named_in_data
from knee_attention.runs.run_folder import RunFolder
from knee_attention.startup import Terminated, _native_stderr_held_back


def test_a_disk_that_is_full_is_one_sentence_and_leaves_nothing(tmp_path, full_disk):
    write_json(tmp_path / "numbers.json", {"before": 1})
    with full_disk(), pytest.raises(InputError, match="numbers.json cannot be written: File too"):
        write_json(tmp_path / "numbers.json", {"after": list(range(4000))})
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.json"]
    assert read_json(tmp_path / "numbers.json") == {"before": 1}


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "table.csv", tmp_path / "folder"):
        with pytest.raises(InputError, match="cannot be written"), written_whole(place) as beside:
            beside.write_text("words")


def test_a_read_only_folder_is_noticed_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written: no permission"):
        make_folder(tmp_path)


def test_a_mount_that_becomes_read_only_is_one_sentence(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputError, match="numbers.json cannot be written: Read-only"):
        write_json(tmp_path / "numbers.json", {"grade": 3})


def test_what_was_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "numbers.json", []

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(path, {"grade": 3})
    assert synced == [(path.stat().st_size, False)]


def test_other_failures_are_not_taken_for_those_of_the_file(tmp_path):
    with pytest.raises(BrokenPipeError), written_whole(tmp_path / "table.csv"):
        raise BrokenPipeError(32, "Broken pipe")
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "table.csv"):
        (tmp_path / "missing").read_bytes()


@pytest.mark.parametrize("content", ['{"name": "vgg', "", "[1, 2]", None])
def test_a_damaged_record_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match="results.json: (a damaged file|No such file)"):
        read_json(tmp_path / "results.json")


def test_an_input_is_known_by_every_name(tmp_path):
    (tmp_path / "film.png").write_bytes(b"film")
    (tmp_path / "link.png").symlink_to(tmp_path / "film.png")
    os.link(tmp_path / "film.png", tmp_path / "twin.png")
    for name in ("film.png", "link.png", "twin.png", "nowhere/../film.png"):
        (tmp_path / "nowhere").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="would be overwritten"):
            keep_inputs([tmp_path / "film.png"], [tmp_path / "new.png", tmp_path / name])
    keep_inputs([tmp_path / "film.png", tmp_path / "none.png"], [tmp_path / "none.png"])


@pytest.mark.parametrize("backend", ["jax", "numpy", "nonsense"])
def test_a_backend_that_is_not_there_is_one_sentence(tmp_path, backend):
    pytest.importorskip("tensorflow")
    if backend == "jax":  # Python finds this file before an installed package
        (tmp_path / "jax.py").write_text("raise ModuleNotFoundError(name='jax')")
    command = [sys.executable, "-m", "knee_attention", "grade", "film.png", "--model", "model.h5"]
    paths = [str(tmp_path), str(Path(__file__).parents[1])]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"KERAS_BACKEND is {backend!r}" in done.stderr.strip().splitlines()[-1]


def test_a_folder_that_cannot_be_read_is_refused_and_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "shut").mkdir()
    (tmp_path / "open" / "film.png").touch()
    real = os.scandir

    def scandir(place):
        if Path(place).name == "shut":
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="shut: Permission denied; its files would be missing"):
        files_below(tmp_path)


def test_no_folder_is_taken_for_the_remains_of_a_killed_run(tmp_path):
    (tmp_path / ".123.run").mkdir()
    (tmp_path / ".123.half.png").touch()
    remove_remains(list(tmp_path.iterdir()))
    assert [path.name for path in tmp_path.iterdir()] == [".123.run"]


@pytest.fixture
def no_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))


@pytest.mark.parametrize("in_memory", [True, False])
def test_stderr_is_held_back_without_a_temporary_folder(
    no_temporary_folder, monkeypatch, in_memory
):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    entered = False
    with _native_stderr_held_back():
        entered = True
    assert entered


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_held_back_is_shown_if_the_block_fails(monkeypatch, capfd, in_memory):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with _native_stderr_held_back():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), _native_stderr_held_back():
        os.write(2, b"the reason")
        1 / 0  # noqa: B018
    assert capfd.readouterr().err == "the reason"


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_model_loads_without_a_temporary_folder(tmp_path, monkeypatch, suffix):
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    save_model(model, tmp_path / f"model{suffix}", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    again = load_model(tmp_path / f"model{suffix}")
    for weights, others in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, others)


FORMULAS = ["=1+1", "+film.png", "-film.png", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-1+1", "-0x1F"]
PLAIN = ["film.png", "a=b", "it's", "'quoted'", "", " =1"]
NUMBERS = ["-0.01", "+5", "-1e-05", "-.5", "7", "-3."]


def cells(path):
    """The cells of a CSV file as a spreadsheet sees them, without the header."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text):
    assert escaped(text) == f"'{text}"
    for held in (text, f"'{text}", f"''{text}"):
        assert unescaped(escaped(held)) == held != escaped(held)


@pytest.mark.parametrize("text", [*PLAIN, *NUMBERS])
def test_other_text_and_numbers_stay_as_they_are(text):
    assert escaped(text) == text == unescaped(text)


def test_a_number_stays_a_number_and_the_header_is_escaped_too(tmp_path):
    write_table(tmp_path / "t.csv", ["=x", "y"], [{"=x": -0.01, "y": -3}, {"y": None}])
    assert (tmp_path / "t.csv").read_text().splitlines() == ["'=x,y", "-0.01,-3", ","]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    rows = [{"file": text} for text in (*FORMULAS, *PLAIN[:4], *NUMBERS)]
    write_table(tmp_path / "t.csv", ["file"], rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert table_rows(file) == rows


def test_the_table_of_grades_holds_no_formula(tmp_path):
    with _table(tmp_path / "grades.csv", ["file", "likeness", "error"]) as write:
        write({"file": "=HYPERLINK(1).png", "likeness": -0.01, "error": "-no film"})
    assert cells(tmp_path / "grades.csv") == [["'=HYPERLINK(1).png", "-0.01", "'-no film"]]


@pytest.mark.parametrize("early_end", [Terminated, InputError, BrokenPipeError, RuntimeError])
def test_a_table_that_ends_early_keeps_its_rows_in_a_part(tmp_path, capsys, early_end):
    table, part = tmp_path / "grades.csv", tmp_path / "grades.part.csv"
    for name in ("film.png", None):  # a second run ends before its first row
        with pytest.raises(early_end), _table(table, ["file"]) as write:
            if name:
                write({"file": name})
            raise early_end
        assert list(tmp_path.iterdir()) == [part] and cells(part) == [["film.png"]]
    assert capsys.readouterr().err == f"the rows so far: {part}\n"
    with _table(table, ["file"]) as write:
        write({"file": "film.png"})
    assert list(tmp_path.iterdir()) == [table]


def test_predictions_are_of_the_knees_as_they_are_named(tmp_path):
    path, even = tmp_path / "predictions.csv", {"att0": np.full((2, 5), 0.2)}
    write_predictions(Predictions(["-1R.png", "2R.png"], ["=p", "-7"], np.array([0, 1]), even),
                      "att0", path)  # fmt: skip
    assert [row[:2] for row in cells(path)] == [["'-1R.png", "'=p"], ["2R.png", "-7"]]
    found = read_predictions(path)
    assert (found.files, found.subjects) == (["-1R.png", "2R.png"], ["=p", "-7"])


def test_films_and_persons_keep_their_names_from_table_to_table(tmp_path):
    table = tmp_path / "knees.csv"
    row = {"id": "=S1", "subject": "@P1", "file": "=S1_R.png"}
    write_table(table, list(row), [row])
    (tmp_path / "=S1_R.png").touch()
    assert cells(table) == [["'=S1", "'@P1", "'=S1_R.png"]]
    assert subjects_of_films([table]) == {"=S1": "@P1"}
    assert rows_kept(table, []) == [row]
    write_table(tmp_path / MANIFEST, ["file", "subject"], [{"file": "=a.png", "subject": "+b c"}])
    assert read_manifest(tmp_path)["=a.png"]["subject"] == "+b c"


def test_files_that_were_left_out_are_published_by_their_place_in_the_data(tmp_path):
    run = RunFolder(tmp_path / "run")
    errors = [ImageError(f"=data/train/{name}", "-") for name in ("1.png", "=2.png")]
    run.begin(Experiment(), ["=turned.png"], errors)
    assert cells(run.inverted) == [["'=turned.png"]]
    rows = named_in_data(run.unreadable, "=data")
    assert rows == [{"file": "train/1.png", "reason": "-"}, {"file": "train/=2.png", "reason": "-"}]
