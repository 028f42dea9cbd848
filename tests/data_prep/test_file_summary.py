"""Every file below a folder is listed once, also with links."""

import pytest

from knee_attention.data_prep.file_summary import visible_files
from knee_attention.errors import InputError
from knee_attention.films.inputs import files_to_open


@pytest.fixture
def tree(tmp_path):
    for name in ("tree/00m/a.png", "disk/12m/b.png", "disk/12m/.hidden", "tree/.thumbs/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"words")
    (tmp_path / "tree" / "12m").symlink_to(tmp_path / "disk" / "12m")
    return tmp_path / "tree"


def names(files, tree):
    return [path.relative_to(tree).as_posix() for path in files]


@pytest.mark.parametrize("list_files", [
    lambda tree: visible_files(tree, tree.with_name("out")), lambda tree: files_to_open([tree])
])  # fmt: skip
def test_a_linked_folder_is_followed_once(tree, list_files):
    expected = ["00m/a.png", "12m/b.png"]
    assert names(list_files(tree), tree) == expected
    (tree / "00m" / "up").symlink_to(tree)
    (tree / "00m" / "self").symlink_to(".")
    (tree / "00m" / "above").symlink_to(tree.parent)
    (tree.parent / "disk" / "12m" / "back").symlink_to(tree)
    (tree / "0_same").symlink_to(tree / "00m")
    (tree / "nowhere").symlink_to(tree / "missing")
    assert names(list_files(tree), tree)[:2] == expected
    assert set(names(list_files(tree), tree)) - {"nowhere"} == set(expected)


def test_the_output_is_no_input_even_behind_a_link(tree):
    out = tree.with_name("out")
    out.mkdir()
    (out / "made.png").write_bytes(b"words")
    (tree / "made").symlink_to(out)
    assert names(visible_files(tree, out), tree) == ["00m/a.png", "12m/b.png"]


def test_a_folder_without_files_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        visible_files(tmp_path, tmp_path / "out")
