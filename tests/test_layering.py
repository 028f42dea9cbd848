"""Layers of the package: which subpackage may import which."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "knee_attention"
GROUND = {"errors", "files", "limits", "device", "startup"}
MAY_IMPORT = {
    "films": GROUND,
    "datasets": {*GROUND, "films"},
    "phantoms": {*GROUND, "films", "datasets"},
    "data_prep": {*GROUND, "films", "datasets"},
    "networks": GROUND,
    "evidence": GROUND,
}
MAY_IMPORT["runs"] = {*GROUND, *MAY_IMPORT}
MAY_IMPORT["grading"] = MAY_IMPORT["runs"] - {"runs"}
MAY_IMPORT["commands"] = {*GROUND, *MAY_IMPORT}
"""For each subpackage, the modules and subpackages that it may import."""

FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def imported(path, top_level_only=False):
    """The modules that a file imports; `from a import b` gives `a` and `a.b`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows():
    """`{file relative to the package: subpackages and ground modules that it imports}`."""
    known = {*GROUND, *MAY_IMPORT}
    return {
        path.relative_to(PACKAGE): {
            name.split(".")[1]
            for name in imported(path)
            if name.startswith("knee_attention.") and name.split(".")[1] in known
        }
        for path in FILES
    }


def room(path):
    return path.parts[0].removesuffix(".py")


def test_the_house_has_these_rooms_and_no_more():
    marks = ("__", "py.typed")
    files = {"pretrained"}  # model files, no modules
    shown = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(marks)}
    assert shown == {*GROUND, *MAY_IMPORT, *files}
    assert len(shown) <= 16


@pytest.mark.parametrize("place", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_lies_below_it(place):
    wrong = {
        str(path): found - MAY_IMPORT[place] - {place}
        for path, found in arrows().items()
        if room(path) == place and found - MAY_IMPORT[place] - {place}
    }
    assert not wrong


def test_the_ground_imports_no_room():
    wrong = {
        str(path): found - GROUND
        for path, found in arrows().items()
        if room(path) in GROUND and found - GROUND
    }
    assert not wrong


def test_no_module_imports_itself_by_a_detour():
    """Import cycles, including imports inside functions."""
    names = {
        "knee_attention." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in FILES
        if path.stem not in ("__init__", "__main__")
    }
    edges = {name: imported(path) & names.keys() - {name} for name, path in names.items()}
    while True:
        leaves = {name for name, targets in edges.items() if not targets}
        if not leaves:
            break
        edges = {name: t - leaves for name, t in edges.items() if name not in leaves}
    assert not edges, f"a circle among {sorted(edges)}"


def test_tensorflow_is_never_imported_at_module_level():
    for path in FILES:
        assert not any(
            name.split(".")[0] == "tensorflow" for name in imported(path, top_level_only=True)
        ), path


REPORTING = {path.name for path in (PACKAGE / "grading" / "dicom").glob("*.py")}
READING = {path.name for path in (PACKAGE / "films" / "dicom").glob("*.py")}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("matplotlib", {"audit.py", "curves.py", "panels.py", "heat_maps.py"}),
        ("pydicom", {*READING, *REPORTING, "node.py", "archive.py"}),
        ("highdicom", REPORTING),
        ("pynetdicom", {"node.py", "archive.py", "connection.py"}),
    ],
)
def test_a_package_has_few_users(package, allowed):
    users = {
        path.name for path in FILES if any(n.split(".")[0] == package for n in imported(path))
    }
    assert users <= allowed


@pytest.mark.parametrize(
    ("place", "users"),
    [
        ("films", set()),
        ("phantoms", set()),
        ("datasets", {"batches.py"}),
        ("data_prep", set()),
        ("evidence", set()),
    ],
)
def test_keras_has_few_users_below_the_runs(place, users):
    found = {
        path.name
        for path in (PACKAGE / place).rglob("*.py")
        if any(name.split(".")[0] == "keras" for name in imported(path))
    }
    assert found == users


def test_data_prep_never_imports_keras():
    for path in (PACKAGE.parent / "data_prep").glob("*.py"):
        assert not {name for name in imported(path) if name.startswith(("keras", "tensorflow"))}
