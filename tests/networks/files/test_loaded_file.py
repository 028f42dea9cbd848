"""A model's file is replaced before or after its digest is computed."""

import hashlib
import os

import pytest

from knee_attention.errors import InputError
from knee_attention.networks.files.loaded_file import LoadedFile


def replace(path):
    path.with_name("new").write_bytes(b"another")
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [replace, os.unlink, lambda path: path.write_bytes(b"longer")])
def test_a_file_that_was_replaced_has_no_digest(tmp_path, change):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    file = LoadedFile(path)
    change(path)
    with pytest.raises(InputError, match="model.onnx: replaced since the model was read"):
        file.digest()


def test_a_digest_that_is_known_stays(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    file = LoadedFile(path)
    assert file.digest() == hashlib.sha256(b"model").hexdigest()
    replace(path)
    assert file.digest() == hashlib.sha256(b"model").hexdigest()
