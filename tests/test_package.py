"""The names and the version of the package."""

import ast
import inspect
import subprocess
import sys

import pytest

import knee_attention


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
