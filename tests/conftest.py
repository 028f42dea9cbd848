"""Quiet TensorFlow, and fixtures with small inputs."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import h5py
import numpy as np
import pytest

from knee_attention.commands.cli import main
from knee_attention.films.radiograph import resize_knee


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real films and tables, which are not in this repository; skips without them.

    KNEE_ATTENTION_REAL_DATA names the folder (default: `shared/data` beside the clone).
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("KNEE_ATTENTION_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real films in {folder}")
    return folder


def blob_knee(grade: int, generator: np.random.Generator, size=(96, 96)) -> np.ndarray:
    """A grey image with a bright bar that is wider for a higher grade."""
    image = generator.integers(0, 60, size).astype(np.uint8)
    middle = size[0] // 2
    image[middle - 3 * grade - 2 : middle + 3 * grade + 2, 10:-10] = 200
    return image


@pytest.fixture
def knee_folder(tmp_path):
    """A data folder: 20 training, 10 validation and 10 test knees of five persons per split."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for grade in range(5):
            folder = tmp_path / "knees" / split / str(grade)
            folder.mkdir(parents=True)
            for number in range(count):
                name = f"{split}{grade}{number // 2}{'RL'[number % 2]}.png"
                cv2.imwrite(str(folder / name), blob_knee(grade, generator))
    return tmp_path / "knees"


@pytest.fixture(params=["link", "raw storage", "virtual"])
def elsewhere(request, tmp_path):
    """Moves a data set of an HDF5 group into another file, in each way that HDF5 supports."""

    def move(group: h5py.Group, name: str) -> None:
        values = group[name][()]
        del group[name]
        with h5py.File(tmp_path / "other.h5", "w") as other:
            other["values"] = values
        (tmp_path / "other.bin").write_bytes(values.tobytes())
        if request.param == "link":
            group[name] = h5py.ExternalLink(tmp_path / "other.h5", "values")
        elif request.param == "raw storage":
            place = [(str(tmp_path / "other.bin"), 0, values.nbytes)]
            group.create_dataset(name, values.shape, values.dtype, external=place)
        else:
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "values", values.shape)
            group.create_virtual_dataset(name, layout)

    return move


@pytest.fixture
def full_disk():
    """A context in which no file can exceed 2 kB: writing fails as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def largest_file():
    """A context in which no file can exceed a number of bytes, as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(size: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def small_knees():
    """Eight prepared knees `(8, 96, 96, 1)` uint8 and their grades."""
    generator = np.random.default_rng(1)
    grades = np.arange(8) % 5
    images = np.stack([resize_knee(blob_knee(g, generator), (96, 96)) for g in grades])
    return images[..., np.newaxis], grades


@pytest.fixture
def refused(capsys):
    """Runs a command that must end with code 2; returns its one sentence on stderr."""

    def run(command, *arguments):
        with pytest.raises(SystemExit) as ended:
            main([command, *map(str, arguments)])
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said and len(said.splitlines()) == 1
        return said

    return run


@pytest.fixture
def refused_import(monkeypatch):
    """Makes the import of a package fail, as if it were not installed."""

    def refuse(package: str) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        users = [name for name in sys.modules if name.startswith("knee_attention.grading.dicom")]
        for name in users:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return refuse
