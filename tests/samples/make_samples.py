"""Files as an earlier commit wrote them, for test_samples.py: b0c4dd4.tar.xz beside this script.

    git worktree add ../earlier b0c4dd4
    PYTHONPATH=../earlier python tests/samples/make_samples.py

makes films, knees (with their journal), a training set as a folder and as one HDF5 file, a finished
run with its models, the ONNX file of one, and a run that was killed after its first epoch; and
expected.json, what that commit's code read and graded of them.

All of it shall stay under 300 kB. So weights and Adam's moments keep two bits of their mantissa,
which compresses them to a quarter; arrays that several files share are compressed once, as the
archive is one stream of xz; films have sixteen greys; and figures are left out, as no command needs
them. Paths of the machine become ROOT, for which the test puts its own folder. Times are whole
seconds, because a journal knows a source by its time and an archive keeps no fractions.
"""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
from knee_attention.films.dataset import load_dataset
from knee_attention.films.phantom import phantom_film
from knee_attention.inference import load_grader

import knee_attention

EARLIER = Path(knee_attention.__file__).parents[1]
SCRIPT = EARLIER / "experiments" / "run_antony_clsf_att0.py"
ARCHIVE = Path(__file__).with_name("b0c4dd4.tar.xz")
FILMS = 8
KNEE_SIZE = (48, 32)
SPLIT_OPTIONS = ("--size", *map(str, KNEE_SIZE), "--fit", "pad", "--workers", "1")
SET_OPTIONS = ("--validation", "0.3", "--workers", "1")
RUN_OPTIONS = ("--image-size", "96", "96", "--batch-size", "4", "--learning-rate", "0.001",
               "--precision", "float32")  # fmt: skip
TIME = 1_700_000_000
LOW_BITS = 21
"""Of a float32's 23 bits of mantissa, those that become zero."""

DYING = """
import os, runpy, signal, sys
from knee_attention.checkpoint import Checkpoint
save = Checkpoint.on_epoch_end
def save_and_die(self, epoch, logs=None):
    save(self, epoch, logs)
    os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.on_epoch_end = save_and_die
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    """Make everything in a temporary folder, and the archive of it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        make_data(root)
        make_runs(root)
        for path in [*root.rglob("*.h5"), *root.rglob("*.keras")]:
            round_weights(path, root)
        python("-m", "knee_attention", "export", root / "finished/model.h5", root / "model.onnx")
        write_expected(root)
        for path in root.rglob("*"):
            if path.suffix in (".json", ".jsonl", ".csv"):
                path.write_text(path.read_text().replace(str(EARLIER), "EARLIER")
                                .replace(str(root), "ROOT"))
        pack(root)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size / 1000:.0f} kB")


def python(*arguments) -> int:
    """Run Python on the earlier code; its exit code."""
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, cwd=EARLIER)  # python -c and -m look for packages there first
    if ended.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"failed: {' '.join(command[:3])}")
    return ended.returncode


def make_data(root: Path) -> None:
    """Films, labels, knees, a training set as a folder and as one file."""
    films, knees, labels = root / "films", root / "knees", root / "labels.csv"
    films.mkdir()
    rows = []
    for number in range(FILMS):
        grades = number % 5, (number + 2) % 5
        image = phantom_film(grades, number, height=128).image // 16 * 16
        cv2.imwrite(str(films / f"{number:03d}.png"), image)
        rows += [(f"{number:03d}", side, kl) for side, kl in zip("RL", grades, strict=True)]
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "side", "kl"), *rows])
    set_times(films)
    python(EARLIER / "data_prep/split_knees.py", films, knees, *SPLIT_OPTIONS)
    set_times(knees)
    python(EARLIER / "data_prep/make_dataset.py", knees, labels, root / "dataset",
           "--h5", root / "dataset.h5", *SET_OPTIONS)
    (root / "dataset" / "grades.png").unlink()


def set_times(folder: Path) -> None:
    """Give every file the same time, in whole seconds."""
    for path in folder.iterdir():
        os.utime(path, (TIME, TIME))


def make_runs(root: Path) -> None:
    """A run of one epoch, and one of two that is killed after the first."""
    options = ("--data", root / "dataset", *RUN_OPTIONS)
    python(SCRIPT, *options, "--epochs", "1", "--output", root / "finished")
    shutil.rmtree(root / "finished" / "figures")
    killed = python("-c", DYING, SCRIPT, *options, "--epochs", "2", "--output", root / "killed")
    if killed != -signal.SIGKILL or not (root / "killed" / "checkpoint.h5").exists():
        raise SystemExit("the run was not killed after its first epoch")


def round_weights(path: Path, root: Path) -> None:
    """Round the arrays of a model or a checkpoint, and take the machine's paths out of it."""
    if path.suffix == ".keras":
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
                names = archive.namelist()
            round_weights(Path(folder, "model.weights.h5"), root)
            said = Path(folder, "knee_attention.json")
            said.write_text(said.read_text().replace(str(root), "ROOT"))
            with zipfile.ZipFile(path, "w") as archive:
                for name in names:
                    archive.write(Path(folder, name), name)
        return
    with h5py.File(path, "r+") as file:
        file.visititems(round_array)
        if "knee_attention" in file.attrs:
            said = file.attrs["knee_attention"].replace(str(root), "ROOT")
            file.attrs["knee_attention"] = said


def round_array(name: str, thing: h5py.Group | h5py.Dataset) -> None:
    """Round a dataset to few bits; single numbers, as a learning rate, stay as they are."""
    if isinstance(thing, h5py.Dataset) and thing.ndim and thing.dtype == np.float32:
        bits = thing[:].view(np.uint32) + np.uint32(1 << (LOW_BITS - 1))
        thing[...] = (bits >> LOW_BITS << LOW_BITS).view(np.float32)


def write_expected(root: Path) -> None:
    """What the earlier code reads and grades."""
    expected = {"sets": {}, "graded": {}}
    for name in ("dataset", "dataset.h5"):
        splits = load_dataset(root / name, KNEE_SIZE).splits
        expected["sets"][name] = {
            split: {
                "files": knees.files,
                "grades": knees.grades.tolist(),
                "subjects": knees.subjects,
                "pixels": [hashlib.sha256(image.tobytes()).hexdigest() for image in knees.images],
            }
            for split, knees in splits.items()
        }
    for model in ("finished/model.h5", "finished/model.keras", "model.onnx"):
        knees = load_grader(root / model).grade(root / "films" / "000.png")
        expected["graded"][model] = {
            knee.side: knee.probabilities.round(6).tolist() for knee in knees
        }
    (root / "expected.json").write_text(json.dumps(expected, indent=1))


def pack(root: Path) -> None:
    """Put all files into the archive, those alike beside each other."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != ".claim"]
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(files, key=lambda path: (path.suffix, path)):
            archive.add(path, path.relative_to(root), filter=anonymous)


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file of nobody's."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
