"""Quiet TensorFlow, and fixtures with small inputs."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The test processes share the cores.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import h5py
import numpy as np
import pytest
from stand_ins import SQUARE, Uniform, blob_knee, load_script, write_knees

from knee_attention.commands.cli import main
from knee_attention.films.image_files import write_image
from knee_attention.films.radiograph import resize_knee
from knee_attention.phantoms.film import phantom_film


def pytest_collection_modifyitems(items):
    """Slow tests may take longer than .pytest.ini allows the others."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(1500))


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


@pytest.fixture(scope="module")
def eager():
    """Trainings of the module run without TensorFlow's graphs."""
    from small_trainings import run_eagerly

    with run_eagerly():
        yield


@pytest.fixture(scope="module")
def blank_figures():
    """Trainings of the module write blank images in place of figures."""
    from small_trainings import leave_figures_blank

    with leave_figures_blank():
        yield


@pytest.fixture(scope="session")
def phantom_runs(tmp_path_factory):
    """A folder of finished runs on phantoms, which no test may change.

    They are `two` (two branches), `att1` and `att2` (each branch alone), and `other` (att1 on
    phantoms of another seed).
    """
    from small_trainings import leave_figures_blank, run_eagerly

    from knee_attention.runs.experiment import Experiment
    from knee_attention.runs.run import run

    folder = tmp_path_factory.mktemp("phantom_runs")
    att1 = Experiment("antony_clsf", ("att1",), "single", image_size=(96, 96), epochs=1,
                      batch_size=10, limit=10, precision="float32")  # fmt: skip
    two = {"branches": ("att1", "att2"), "fusion": "multi_loss", "loss_weights": (1.0, 0.8)}
    with run_eagerly(), leave_figures_blank():
        run(replace(att1, **two), folder / "two")
        run(att1, folder / "att1")
        run(replace(att1, branches=("att2",)), folder / "att2")
        run(replace(att1, seed=7), folder / "other")
    return folder


@pytest.fixture
def knee_folder(tmp_path):
    """A new data folder of forty small knees, see `write_knees`."""
    return write_knees(tmp_path / "knees")


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
    """A context in which no file can exceed a number of bytes: writing fails as on a full disk."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(size: int = 2048):
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
    """Runs a command that must end with code 2; returns its one sentence on stderr.

    A command is the name of a subcommand, or a function that is called with the arguments.
    """

    def run(command, *arguments):
        with pytest.raises(SystemExit) as ended:
            if callable(command):
                command(*arguments)
            else:
                main([command, *map(str, arguments)])
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip()
        assert "Traceback" not in said and len(said.splitlines()) == 1
        return said

    return run


@pytest.fixture(scope="module")
def phantom():
    """A film of knees of grade 0 and 4."""
    return phantom_film((0, 4), seed=9011)


@pytest.fixture(scope="module")
def grader():
    """A grader of square crops with a network that finds every grade equally probable."""
    from knee_attention.grading.grader import Grader

    return Grader(Uniform(SQUARE))


@pytest.fixture
def archive():
    """A stand-in for an archive, which keeps what a DICOM node sends."""
    from study_films import StandIn

    stand_in = StandIn()
    stand_in.start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def node(tmp_path, archive, caplog):
    """Starts nodes, returns a node's port, and stops the nodes after the test."""
    from processes import free_port
    from study_films import ALGORITHM, bright_knee_grader

    from knee_attention.grading.node.archive import Archive
    from knee_attention.grading.node.node import Node

    caplog.set_level(logging.INFO, "knee_attention")
    started = []

    def start(to=archive, grader=None, **options):
        address = Archive("ARCHIVE", "127.0.0.1", to.port)
        folder = tmp_path / "queue"
        started.append(Node(grader or bright_knee_grader(), ALGORITHM, address, folder, **options))
        port = free_port()
        started[-1].start("127.0.0.1", port)
        return port

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def finished_runs(phantom_runs, tmp_path_factory):
    """A folder of finished runs with the names that run_table1.py gives."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(phantom_runs / "att1", folder / "antony_clsf_att1")
    shutil.copytree(phantom_runs / "two", folder / "antony_clsf_multiloss")
    for name, copy, change in (
        ("antony_clsf_multiloss", "antony_clsf_multiloss-seed1", {"seed": 1}),
        ("antony_clsf_att1", "antony_clsf_att1-strong", {"augment": "strong"}),
    ):
        # The tests need another seed and another option, but no other results.
        shutil.copytree(folder / name, folder / copy)
        path = folder / copy / "experiment.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return folder


@pytest.fixture(scope="session")
def published_once(finished_runs, tmp_path_factory):
    from knee_attention.runs.finished.publishing import publish

    folder = tmp_path_factory.mktemp("published") / "results"
    for run in sorted(finished_runs.iterdir()):
        publish(run, folder)
    return folder


@pytest.fixture
def published(published_once, tmp_path):
    """A copy of the folder with all finished runs."""
    return shutil.copytree(published_once, tmp_path / "results")


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str]]:
    """A function that runs a script of data_prep in this process and returns its exit code and
    output."""

    def run(script: str, *arguments: object) -> tuple[int, str]:
        module = load_script(Path(__file__).parents[1] / "data_prep" / f"{script}.py")
        workers = [] if script == "make_labels" else ["--workers", "1"]
        try:
            module.main([*map(str, arguments), *workers])
            code = 0
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Thirty small films of 15 subjects and their labels; no two knees have the same pixels."""
    folder = tmp_path_factory.mktemp("prepared")
    lines, rng = ["id,subject,side,kl"], np.random.default_rng(0)
    for index in range(30):
        for side in "RL":
            knee = rng.integers(0, 256, (40, 28)).astype(np.uint8)
            write_image(folder / "knees" / f"S{index:03d}_{side}.png", knee)
            lines.append(f"S{index:03d},P{index // 2:02d},{side},{index % 5}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder
