"""The names and the version of the package, and what setup.py packs."""

import ast
import inspect
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import knee_attention

pytest.importorskip("setuptools")


ROOT = Path(__file__).parents[1]
SCRIPTS_AND_TESTS = ("data_prep", "experiments", "tests")
FILES = ("LICENSE", "README.md", "REPRODUCTION.md", "requirements.txt", "setup.py",
         ".pytest.ini", ".ruff.toml")  # fmt: skip


def setup(folder: Path, *arguments) -> str:
    """Run setup.py in a folder; returns its output."""
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
