"""Every image in a folder is read or reported, and no other file counts as an image."""

import os
import struct
from io import BytesIO

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402
from pydicom import dcmread, dcmwrite  # noqa: E402
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless  # noqa: E402

from knee_attention.errors import ImageError, InputError  # noqa: E402
from knee_attention.films.file_kinds import begins_as_dicom, image_kind, why_unread  # noqa: E402
from knee_attention.films.inputs import (  # noqa: E402
    FileInMemory,
    files_to_open,
    is_dicom,
    open_film,
)

FILM = (np.arange(60 * 80).reshape(60, 80) * 7 % 4096).astype(np.uint16)


def headless(path, kind):
    """A DICOM file without preamble, and in some kinds without group 0002."""
    whole = write_dicom(path, FILM, SpecificCharacterSet="ISO_IR 100",
                        ImageType=["ORIGINAL", "PRIMARY"],
                        compression=RLELossless if kind == "compressed" else None)  # fmt: skip
    dataset = dcmread(whole)
    if kind in ("header", "compressed"):
        path.write_bytes(whole.read_bytes()[132:])
    elif kind == "deflated":
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes()[132:])
    else:
        implicit = kind == "implicit"
        content = BytesIO()
        del dataset.file_meta
        dcmwrite(content, dataset, implicit_vr=implicit, little_endian=True)
        path.write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize("kind", ["header", "compressed", "deflated", "implicit", "explicit"])
@pytest.mark.parametrize("suffix", ["", ".dcm", ".1"])
def test_a_dicom_file_without_preamble_is_read_by_name_and_in_folders(tmp_path, kind, suffix):
    expected = open_film(write_dicom(tmp_path / "whole.dcm", FILM)).pixels
    path = headless(tmp_path / "films" / f"film{suffix}", kind)
    assert is_dicom(path) and image_kind(path) == "DICOM"
    assert files_to_open([tmp_path / "films"]) == [path]
    for source in (path, FileInMemory(path.name, path.read_bytes())):
        np.testing.assert_array_equal(open_film(source).pixels, expected)


def test_a_deflated_file_without_preamble_may_not_unpack_to_more_than_a_film(tmp_path, monkeypatch):
    monkeypatch.setattr("knee_attention.films.dicom.header.MOST_BYTES", 1000)
    path = headless(tmp_path / "film", "deflated")
    with pytest.raises(ImageError, match="it inflates to more than"):
        open_film(path)


def test_a_file_without_transfer_syntax_and_with_compressed_pixels_is_refused(tmp_path):
    dataset = dcmread(write_dicom(tmp_path / "film", FILM, compression=RLELossless))
    del dataset.file_meta
    dcmwrite(tmp_path / "film", dataset, implicit_vr=False, little_endian=True)
    with pytest.raises(ImageError, match="names no transfer syntax"):
        open_film(tmp_path / "film")


def element(tag, value, kind=b""):
    group, number = tag >> 16, tag & 0xFFFF
    length = struct.pack("<H" if kind else "<I", len(value))
    return struct.pack("<HH", group, number) + kind + length + value


SOP_CLASS = b"1.2.840.10008.5.1.4.1.1.1.1\0"


@pytest.mark.parametrize(
    ("start", "known"),
    [
        (element(0x00080016, SOP_CLASS), True),
        (element(0x00080005, b"ISO_IR 100") + element(0x00080016, SOP_CLASS), True),
        (element(0x00080005, b"ISO_IR 100", b"CS") + element(0x00080016, SOP_CLASS, b"UI"), True),
        (element(0x00020002, SOP_CLASS, b"UI"), True),
        (b"", False),
        (b"\x08", False),
        (b"\x08\0\x05\0", False),
        (b"\x08\0" * 600, False),
        (b"\x02\0" * 600, False),
        (b"\x08\0\x05\0" + bytes(600), False),
        (b"\x02\0\0\0UL\x04\0" + bytes(600), False),
        (element(0x00080016, b"no identifier here\0\0"), False),
        (element(0x00080016, SOP_CLASS, b"LO"), False),
        (element(0x00080012, b"20040101") + element(0x00080005, b"CS") * 9, False),
        (element(0x00080005, b"ISO_IR 100") + element(0x00100010, b"NAME"), False),
        (SOP_CLASS * 20, False),
    ],
)
def test_the_first_bytes_tell_a_data_set(start, known):
    assert begins_as_dicom(start) is known


def test_random_bytes_are_no_dicom():
    generator = np.random.default_rng(0)
    for group in (b"\x08\0", b"\x02\0"):
        for _ in range(2000):
            assert not begins_as_dicom(group + generator.bytes(1022))


@pytest.fixture
def folder(tmp_path):
    """A folder with images of every readable suffix, unreadable images, and other files."""
    knee = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)

    def write(name, kind):
        (tmp_path / name).write_bytes(cv2.imencode(kind, knee)[1].tobytes())

    for name, kind in (("a.jpe", ".jpg"), ("b.jfif", ".jpg"), ("c.JIF", ".jpg"), ("d.dib", ".bmp"),
                       ("e.PNG", ".png"), ("f.tiff", ".tif"), ("g.webp", ".webp")):  # fmt: skip
        write(name, kind)
    write("h", ".png")
    write("i.bak", ".bmp")
    write("j.scan", ".pgm")
    (tmp_path / "k.gif").write_bytes(b"")
    (tmp_path / "l.x").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "m.dcm").write_bytes(b"no dicom")
    for name, content in (("n.txt", b"BM is no picture"), ("o.csv", b"P1,2\n"), ("p", b""),
                          ("q.npy", b"\x93NUMPY"), ("r.h5", b"\x89HDF\r\n\x1a\n"),
                          (".hidden.png", b""), ("s.txt", b"II.")):  # fmt: skip
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "t_sr.dcm")
    return tmp_path


def test_what_looks_like_an_image_is_opened_or_named(folder):
    files = files_to_open([folder])
    assert [path.name[0] for path in files] == list("abcdefghijklmt")
    for path in files[:9]:
        assert open_film(path).pixels.shape == (64, 64)
    for path in files[9:]:
        with pytest.raises(ImageError):
            open_film(path)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("08")
    with pytest.raises(InputError, match="no images in this folder"):
        files_to_open([tmp_path])


def test_a_file_that_is_not_read_has_a_reason(folder):
    reasons = {path.name: why_unread(path) for path in folder.iterdir()}
    assert reasons["h"] == "a PNG image whose suffix is missing or wrong; rename it"
    assert reasons["j.scan"] == "a portable map image; this format is not supported"
    assert reasons["k.gif"] == "a GIF image; this format is not supported"
    assert reasons["l.x"] == "a HEIF image; this format is not supported"
    assert "dicom_to_png.py" in reasons["m.dcm"]
    assert {reasons[name] for name in ("n.txt", "o.csv", "p", "q.npy", "r.h5", "s.txt")} == {None}
