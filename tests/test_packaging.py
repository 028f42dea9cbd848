"""The package: its names and version, what setup.py packs, and the install without TensorFlow."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest

import knee_attention
from knee_attention.errors import InputError, missing_raises
from knee_attention.phantoms.film import phantom_film
from knee_attention.startup import command_line

ROOT = Path(__file__).parents[1]
SCRIPTS_AND_TESTS = ("data_prep", "experiments", "tests")
FILES = ("LICENSE", "README.md", "REPRODUCTION.md", "requirements.txt", "setup.py",
         ".pytest.ini", ".ruff.toml")  # fmt: skip


def setup(folder: Path, *arguments) -> str:
    """Run setup.py in a folder; returns its output."""
    pytest.importorskip("setuptools")
    command = [sys.executable, "setup.py", "-q", *map(str, arguments)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-1000:]
    return ended.stdout


def files_in(folder: Path) -> set[str]:
    """All files below a folder except compiled ones, relative to it."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {file for file in files if not file.endswith(".pyc")}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """An unpacked source distribution of a copy of this clone."""
    place = tmp_path_factory.mktemp("distribution")
    clone = place / "clone"
    for folder in ("knee_attention", *SCRIPTS_AND_TESTS):
        shutil.copytree(ROOT / folder, clone / folder)
    for file in FILES:
        shutil.copy(ROOT / file, clone)
    setup(clone, "sdist", "--formats", "tar", "--dist-dir", place)
    [archive] = place.glob("*.tar")
    with tarfile.open(archive) as tar:
        tar.extractall(place / "unpacked", filter="data")
    [folder] = (place / "unpacked").iterdir()
    return folder


def test_a_source_distribution_builds_the_whole_package(unpacked, tmp_path):
    setup(unpacked, "build", "--build-lib", tmp_path / "built")
    assert files_in(tmp_path / "built" / "knee_attention") == files_in(ROOT / "knee_attention")


def test_a_source_distribution_holds_scripts_and_tests(unpacked):
    for folder in SCRIPTS_AND_TESTS:
        assert files_in(unpacked / folder) == files_in(ROOT / folder)
    assert all((unpacked / file).is_file() for file in FILES)


def test_the_version_is_the_package_s():
    assert setup(ROOT, "--version").strip() == knee_attention.__version__


def test_the_public_names_are_typed_as_py_typed_promises():
    pytest.importorskip("mypy")
    modules = sorted({"knee_attention", *knee_attention._HOMES.values()})
    command = [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent"]
    command += [part for module in modules for part in ("-m", module)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_the_package_does_not_import_keras():
    ended = python("import sys, knee_attention; sys.exit('keras' in sys.modules)")
    assert ended.returncode == 0


def test_saved_models_load_with_keras_after_one_import(tmp_path):
    import keras

    from knee_attention.networks.model import build_model

    model = build_model("antony_clsf", ("att1",), "single", (96, 96))
    paths = [str(tmp_path / f"model{suffix}") for suffix in (".h5", ".keras")]
    for path in paths:
        model.save(path)
    keras.backend.clear_session()
    ended = python("import keras, knee_attention\n"
                   f"[keras.saving.load_model(path, compile=False) for path in {paths}]")
    assert ended.returncode == 0, ended.stderr[-500:]


def test_public_names_exist():
    for name in knee_attention.__all__:
        assert getattr(knee_attention, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = knee_attention.nothing


def test_the_command_prints_the_version():
    command = [sys.executable, "-m", "knee_attention", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == knee_attention.__version__


def test_type_checkers_see_the_same_names():
    tree = ast.parse(inspect.getsource(knee_attention))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: statement.module for statement in block.body for alias in statement.names}
    assert seen == knee_attention._HOMES


DECODERS = {"pylibjpeg", "pylibjpeg-openjpeg", "simplejpeg"}
"""Packages that are imported only when a film needs them."""

USE = """
import json, sys
for package in json.loads(sys.argv[1]):
    sys.modules[package] = None  # as if it were not installed
from knee_attention.commands.cli import main
main(["grade", "film.png", "film.dcm", "--model", "model.onnx", "--csv", "out.csv", "--overlay",
      "out"])
main(["grade", "film.png"])
main(["grade", "film.dcm", "--model", "model.onnx", "--json", "--dicom", "out"])
main(["info", "model.onnx"])
main(["info", "kneekl-vgg16-multiloss"])
import knee_attention.grading.node.node
import uvicorn
import knee_attention.grading.web.app
print(json.dumps([name for name in sys.modules if "." not in name]))
"""

LACKING = """
import sys
sys.modules[sys.argv[1]] = None
from knee_attention.commands.cli import main
main(["grade", *sys.argv[2:]])
"""

NOT_INSTALLED = """
import sys
from importlib import metadata
installed = metadata.Distribution.from_name
def from_name(name):
    if name.replace("-", "_") == "knee_attention":
        raise metadata.PackageNotFoundError(name)
    return installed(name)
metadata.Distribution.from_name = from_name
from knee_attention.commands.cli import main
main(["grade", "film.dcm", "--model", "model.onnx", "--dicom", sys.argv[1]])
"""


def listed() -> set[str]:
    """The packages that the README installs without TensorFlow."""
    readme = (ROOT / "knee_attention" / "grading" / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Without TensorFlow")[2].partition("\n## ")[0]
    commands = re.findall("^pip install (?!-)(.+)$", section, re.MULTILINE)
    return set(" ".join(commands).split())


def with_what_they_need(names: set[str]) -> set[str]:
    """Packages and all their dependencies, without extras."""
    known, to_look_at = set(), set(names)
    while to_look_at:
        name = to_look_at.pop()
        known.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # another OpenCV package is installed
            continue
        needed = {re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need}
        to_look_at |= {need.lower().replace("_", "-") for need in needed} - known
    return known


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a film as PNG and as DICOM, and with a model."""
    for package in ("highdicom", "pynetdicom", "onnx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    from dicom_files import write_dicom

    from knee_attention.networks.files.onnx_export import export_onnx
    from knee_attention.networks.model import build_model

    folder = tmp_path_factory.mktemp("light")
    description = {
        "name": "small", "outputs": ["att0"], "image_size": [96, 96], "backbone": "antony_clsf",
        "branches": ["att0"], "fusion": "single", "pixel_mean": [0.0], "pixel_deviation": 1.0,
        "precision": "float32", "channels": 1,
    }  # fmt: skip
    model = build_model("antony_clsf", ("att0",), "single", (96, 96))
    export_onnx(model, folder / "model.onnx", description)
    film = phantom_film((1, 3), seed=0, height=256).image
    cv2.imwrite(str(folder / "film.png"), film)
    write_dicom(folder / "film.dcm", film.astype(np.uint16) * 16, StudyInstanceUID="1.2.3",
                SeriesInstanceUID="1.2.4")  # fmt: skip
    return folder


def test_nothing_else_is_needed(folder):
    """All other packages behave as if they were not installed."""
    plugin = "pylibjpeg-libjpeg"  # where it is installed, pylibjpeg imports it
    allowed = with_what_they_need(listed()) | {"opencv-python", plugin}
    homes = {
        module: {home.lower().replace("_", "-") for home in packages}
        for module, packages in metadata.packages_distributions().items()
    }
    absent = sorted(module for module in homes if not homes[module] & {*allowed, "knee-attention"})
    assert {"tensorflow", "keras", "pandas", "h5py"} <= set(absent)
    done = subprocess.run([sys.executable, "-c", USE, json.dumps(absent)], cwd=folder, text=True,
                          capture_output=True, env={"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    used = set().union(*(homes.get(name, ()) for name in json.loads(done.stdout.splitlines()[-1])))
    named = {"opencv-python" if name.startswith("opencv") else name for name in listed()}
    assert named - DECODERS <= used, "listed and not used"


WITH_KERAS = ["film.png", "--model", "kneekl-vgg16-multiloss.h5"]
LEFT_OUT = "is not installed (the light install leaves it out): pip install -e . in the clone"


@pytest.mark.parametrize(("package", "arguments", "said"), [
    ("keras", WITH_KERAS, f"keras {LEFT_OUT}"),
    ("tensorflow", WITH_KERAS, f"tensorflow {LEFT_OUT}"),
    ("highdicom", ["film.dcm", "--model", "model.onnx", "--dicom", "reports"],
     '--dicom needs highdicom: pip install -e ".[dicom-out]" in the clone'),
])  # fmt: skip
def test_what_it_leaves_out_is_named_where_it_is_needed(folder, package, arguments, said):
    done = subprocess.run([sys.executable, "-c", LACKING, package, *arguments], cwd=folder,
                          text=True, capture_output=True, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == f"knee-attention grade: {said}"


def test_a_clone_that_is_not_installed_reports_films(folder, tmp_path):
    done = subprocess.run([sys.executable, "-c", NOT_INSTALLED, tmp_path], cwd=folder, text=True,
                          capture_output=True, env={"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film_sc.dcm", "film_sr.dcm"]


@pytest.mark.parametrize("name", ["highdicom", "highdicom.sr"])
def test_a_named_package_that_is_missing_is_one_sentence(name):
    with pytest.raises(InputError, match="needs highdicom"):
        with missing_raises(InputError("--dicom needs highdicom"), "pydicom", "highdicom"):
            raise ModuleNotFoundError(name=name)


@pytest.mark.parametrize("error", [
    metadata.PackageNotFoundError("knee_attention"), ModuleNotFoundError(name="PIL"),
    ModuleNotFoundError(), ImportError(name="highdicom"),
])  # fmt: skip
def test_another_package_that_is_missing_is_not_hidden(error):
    with pytest.raises(type(error)), missing_raises(InputError("needs highdicom"), "highdicom"):
        raise error


def test_a_missing_module_of_its_own_is_an_error_of_its_own():
    for name in ("knee_attention.nowhere", "keras_of_ours", "_lzma", None):
        with pytest.raises(ModuleNotFoundError), command_line("knee-attention"):
            raise ModuleNotFoundError(name=name)
