"""Films, networks and evidence do not know each other, and nothing imports upwards."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "knee_attention"
ROOMS = ("films", "networks", "evidence")
GROUND = ("knee_attention.errors", "knee_attention.files")
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(path, top_level_only=False):
    """Modules a file imports; those of `from a import b` as `a` and `a.b`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_themselves_and_the_ground(room):
    for path in (PACKAGE / room).rglob("*.py"):
        own = {name for name in imported(path) if name.startswith("knee_attention.")}
        allowed = (f"knee_attention.{room}", *GROUND)
        strangers = {name for name in own if not name.startswith(allowed)}
        assert not strangers, f"{path.name} imports {strangers}"


def test_tensorflow_is_never_imported_at_module_level():
    for path in FILES:
        assert not any(
            name.split(".")[0] == "tensorflow" for name in imported(path, top_level_only=True)
        ), path


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("matplotlib", {"figures.py"}),
        ("pydicom", {"dicom.py"}),
    ],
)
def test_a_package_has_one_user(package, allowed):
    users = {
        path.name for path in FILES if any(n.split(".")[0] == package for n in imported(path))
    }
    assert users <= allowed


def test_keras_is_used_by_one_file_of_films():
    users = {path.name for path in (PACKAGE / "films").rglob("*.py") if "keras" in imported(path)}
    assert users == {"batches.py"}


def test_data_prep_never_imports_keras():
    for path in (PACKAGE.parent / "data_prep").glob("*.py"):
        assert not {name for name in imported(path) if name.startswith(("keras", "tensorflow"))}
