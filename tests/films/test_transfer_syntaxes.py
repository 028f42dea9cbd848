"""The error for a DICOM film that cannot be decoded gives the reason and a remedy."""

import numpy as np
import pytest

pytest.importorskip("pydicom")
from dicom_files import view_code, write_dicom  # noqa: E402
from pydicom import dcmread  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    MPEG2MPML,
    HTJ2KLossless,
    JPEGExtended12Bit,
    RLELossless,
)

from knee_attention.errors import UnreadableError  # noqa: E402
from knee_attention.films.dicom.transfer_syntaxes import undecodable  # noqa: E402
from knee_attention.films.inputs import open_image  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)
SEQUENCE_END, ITEM_END = b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0"


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.10008.1.2.4.110", r"JPEG XL Lossless \(1.2.840.10008.1.2.4.110\)"),
        ("1.2.840.10008.1.2.4.112", r"JPEG XL \(1.2.840.10008.1.2.4.112\)"),
        (MPEG2MPML, r"MPEG2 Main Profile / Main Level \(1.2.840.10008.1.2.4.100\)"),
        ("1.2.840.10008.1.2.4.94", r"JPIP Referenced \(1.2.840.10008.1.2.4.94\)"),
        ("1.2.840.113619.5.2", "1.2.840.113619.5.2"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("1.2\x1b[31m", r"1.2\\x1b\[31m"),
    ],
)
def test_an_unsupported_transfer_syntax_is_named(tmp_path, syntax, said):
    dataset = dcmread(write_dicom(tmp_path / "001", PIXELS))
    dataset.PixelData = encapsulate([b"\xff\x0a" + bytes(100)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.save_as(tmp_path / "001")
    content = (tmp_path / "001").read_bytes()
    assert content.count(HTJ2KLossless.encode()) == 1
    name = syntax.encode().ljust(len(HTJ2KLossless), b"\0")
    (tmp_path / "001").write_bytes(content.replace(HTJ2KLossless.encode(), name))
    with pytest.raises(UnreadableError, match=f"001: unsupported transfer syntax {said}; export"):
        open_image(tmp_path / "001")


def test_no_transfer_syntax_is_said(tmp_path):
    path = write_dicom(tmp_path / "001", PIXELS)
    content = path.read_bytes()
    place = content.index(b"1.2.840.10008.1.2.1\0")
    path.write_bytes(content[:place] + bytes(20) + content[place + 20 :])
    with pytest.raises(UnreadableError, match="names no transfer syntax"):
        open_image(path)


@pytest.mark.parametrize("lost", [[SEQUENCE_END], [ITEM_END], [ITEM_END, SEQUENCE_END]])
def test_a_sequence_without_its_end_is_said(tmp_path, lost):
    path = write_dicom(tmp_path / "001", PIXELS, ViewCodeSequence=[view_code("399348003")])
    dataset = dcmread(path)
    dataset["ViewCodeSequence"].is_undefined_length = True
    dataset.ViewCodeSequence[0].is_undefined_length_sequence_item = True
    dataset.save_as(path)
    content = path.read_bytes()
    for delimiter in lost:
        assert content.count(delimiter) == 1
        content = content.replace(delimiter, b"")
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match="a sequence is truncated or lacks") as raised:
        open_image(path)
    assert not raised.value.passing


@pytest.mark.parametrize("cut", ["delimiter", "half"])
def test_compressed_pixels_without_their_end_are_said(tmp_path, cut):
    path = write_dicom(tmp_path / "001", PIXELS, compression=RLELossless)
    content = path.read_bytes()
    assert content.endswith(SEQUENCE_END)
    length = len(content) - len(SEQUENCE_END) if cut == "delimiter" else len(content) // 2
    path.write_bytes(content[:length])
    with pytest.raises(UnreadableError, match="001: the sequence delimiter behind its pixels"):
        open_image(path)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("the specified plugin is missing dependencies:\n\tpylibjpeg", "needs a decoder"),
        ("exceptions were raised by all available plugins:\n\tpylibjpeg: error", "damaged"),
    ],
)
def test_a_decoder_that_failed_is_not_missing(tmp_path, said, reason):
    dataset = dcmread(write_dicom(tmp_path / "001", PIXELS))
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    assert reason in undecodable(tmp_path / "001", dataset, RuntimeError(said)).reason
