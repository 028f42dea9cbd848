"""DICOM pixels: transfer syntaxes that are refused, grey scale tables and windows."""

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from dicom_files import view_code, write_dicom  # noqa: E402
from pydicom import Dataset, dcmread, dcmwrite  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    MPEG2MPML,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)

from knee_attention.errors import ImageError, UnreadableError  # noqa: E402
from knee_attention.films.dicom.decoding import undecodable  # noqa: E402
from knee_attention.films.dicom.header import read_header  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402
from knee_attention.films.inputs import open_film  # noqa: E402

STORED = np.random.default_rng(0).integers(0, 4096, (40, 56)).astype(np.uint16)
CURVE = (255 * (np.arange(4096) / 4095) ** 0.5).astype(np.uint16)
"""A table from 12 to 8 bits."""


def table(entries: np.ndarray, bits: int, form: str, first: int = 0) -> Dataset:
    """An item of a LUT sequence, with one or two entries per word, in the VR of `form`."""
    way, vr = form.split()
    packed = entries.astype("<u2")
    if way == "packed":
        packed = np.frombuffer(entries.astype(np.uint8).tobytes() + bytes(len(entries) % 2), "<u2")
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 2**16, first, bits])
    item.add_new("LUTData", vr, packed.tolist() if vr == "US" else packed.tobytes())
    return item


FORMS = ["padded US", "padded OW", "packed US", "packed OW"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("count", [4096, 4095])
def test_a_table_of_8_bits_on_a_film_of_12(tmp_path, form, sequence, photometric, count):
    item = table(CURVE[:count], 8, form)
    path = write_dicom(tmp_path / "001", STORED, photometric=photometric, **{sequence: [item]})
    expected = CURVE[np.minimum(STORED, count - 1)]
    expected = 255 - expected if photometric == "MONOCHROME1" else expected
    np.testing.assert_array_equal(read_film(path), expected)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("form", ["padded OW", "packed OW"])
def test_a_table_in_another_order_of_bytes(tmp_path, syntax, form):
    item, big = table(CURVE, 8, form), syntax == ExplicitVRBigEndian
    dataset = dcmread(write_dicom(tmp_path / "001", STORED, VOILUTSequence=[item]))
    if big:
        dataset.PixelData = STORED.astype(">u2").tobytes()
        words = np.frombuffer(item.LUTData, "<u2").astype(">u2")
        dataset.VOILUTSequence[0].LUTData = words.tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(tmp_path / "001", dataset, implicit_vr=not big, little_endian=not big,
             force_encoding=True)  # fmt: skip
    np.testing.assert_array_equal(read_film(tmp_path / "001"), CURVE[STORED])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_modality_table_of_any_bits(tmp_path, bits):
    entries = (np.arange(4096) * (2**bits - 1) // 4095).astype(np.uint16)
    path = write_dicom(tmp_path / "001", STORED, photometric="MONOCHROME1",
                       ModalityLUTSequence=[table(entries, bits, "padded US")])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), 2**bits - 1 - entries[STORED])


def test_a_table_of_all_65536_values(tmp_path):
    entries = np.arange(2**16)[::-1].astype(np.uint16)
    path = write_dicom(tmp_path / "001", STORED * 16, 16,
                       VOILUTSequence=[table(entries, 16, "padded OW")])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), 65535 - STORED * 16)


def test_a_table_of_signed_values(tmp_path):
    path = write_dicom(tmp_path / "001", STORED.astype(np.int16) - 2048,
                       VOILUTSequence=[table(CURVE, 8, "packed OW", -2048)])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), CURVE[STORED])


def test_entries_of_12_bits_that_are_said_to_have_8(tmp_path):
    entries = np.arange(4096).astype(np.uint16)
    path = write_dicom(tmp_path / "001", STORED, photometric="MONOCHROME1",
                       VOILUTSequence=[table(entries, 8, "padded US")])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), 4095 - STORED)


def test_a_window_after_a_modality_table(tmp_path):
    entries = np.arange(4096).astype(np.uint16)
    path = write_dicom(tmp_path / "001", STORED, WindowCenter=2048, WindowWidth=4096,
                       ModalityLUTSequence=[table(entries, 12, "padded US")])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), STORED)


@pytest.mark.parametrize(
    "elements",
    [
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "", "RescaleIntercept": 0},
        {"RescaleSlope": 1, "RescaleIntercept": ""},
        {"RescaleSlope": 1},
        {"RescaleIntercept": ""},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": 2000, "WindowWidth": ""},
        {"WindowWidth": 100},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"VOILUTSequence": []},
        {"VOILUTSequence": [Dataset()]},
        {"ModalityLUTSequence": []},
        {"ModalityLUTSequence": [Dataset()]},
        {"VOILUTFunction": ""},
        {"PixelPaddingValue": None, "PixelAspectRatio": ""},
    ],
)
def test_a_blank_element_counts_as_none(tmp_path, elements):
    path = write_dicom(tmp_path / "001", STORED, **elements)
    assert read_header(path).pixel_aspect == 1
    np.testing.assert_array_equal(read_film(path), STORED)


def test_a_window_of_many_digits(tmp_path):
    path = write_dicom(tmp_path / "001", STORED, WindowCenter=["2047.99999999999", "1"],
                       WindowWidth=["4096.0000000001", "1"])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), STORED)


@pytest.mark.parametrize("sequence", [[], [Dataset()], "a table that is too short"])
@pytest.mark.parametrize("function", ["", "linear", "CUBIC"])
@pytest.mark.parametrize("window", [(2048, 4096), (["", 2048], ["", 4096])])
def test_the_window_counts_beside_a_table_that_does_not(tmp_path, sequence, function, window):
    if isinstance(sequence, str):
        sequence = [table(CURVE, 8, "padded US")]
        sequence[0].LUTDescriptor = [60000, 0, 8]
    path = write_dicom(tmp_path / "001", STORED, VOILUTSequence=sequence, VOILUTFunction=function,
                       WindowCenter=window[0], WindowWidth=window[1])  # fmt: skip
    np.testing.assert_array_equal(read_film(path), STORED)


def test_the_first_table_that_is_filled_counts(tmp_path):
    items = [Dataset(), table(CURVE, 8, "padded US")]
    path = write_dicom(tmp_path / "001", STORED, VOILUTSequence=items, WindowCenter=9,
                       WindowWidth=9)  # fmt: skip
    np.testing.assert_array_equal(read_film(path), CURVE[STORED])


@pytest.mark.parametrize("descriptor", [[60000, 0, 8], [4096, 0, 0], [4096, 0, 17], [4096, 0]])
@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_that_contradicts_itself_is_refused(tmp_path, sequence, descriptor):
    item = table(CURVE, 8, "padded US")
    item.LUTDescriptor = descriptor
    path = write_dicom(tmp_path / "001", STORED, **{sequence: [item]})
    with pytest.raises(ImageError, match="001: its grey scale table or window"):
        read_film(path)


@pytest.mark.parametrize("frames", [b"0 ", b"01", b"1.0 ", b"1 ", b"  ", b"ab", b"-1", b"+1"])
def test_a_film_of_one_frame_however_it_counts_them(tmp_path, frames):
    path = write_dicom(tmp_path / "001", STORED, NumberOfFrames=11)
    content = path.read_bytes()
    element = b"\x28\x00\x08\x00IS\x02\x0011"
    assert content.count(element) == 1
    path.write_bytes(content.replace(element, element[:6] + bytes([len(frames), 0]) + frames))
    read_header(path)
    np.testing.assert_array_equal(read_film(path), STORED)


@pytest.mark.parametrize("frames", [2, 11])
def test_several_frames_are_refused(tmp_path, frames):
    path = write_dicom(tmp_path / "001", STORED, NumberOfFrames=frames)
    with pytest.raises(ImageError, match="the image has several"):
        read_header(path)


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
        open_film(tmp_path / "001")


def test_no_transfer_syntax_is_said(tmp_path):
    path = write_dicom(tmp_path / "001", PIXELS)
    content = path.read_bytes()
    place = content.index(b"1.2.840.10008.1.2.1\0")
    path.write_bytes(content[:place] + bytes(20) + content[place + 20 :])
    with pytest.raises(UnreadableError, match="names no transfer syntax"):
        open_film(path)


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
        open_film(path)
    assert not raised.value.temporary


@pytest.mark.parametrize("cut", ["delimiter", "half"])
def test_compressed_pixels_without_their_end_are_said(tmp_path, cut):
    path = write_dicom(tmp_path / "001", PIXELS, compression=RLELossless)
    content = path.read_bytes()
    assert content.endswith(SEQUENCE_END)
    length = len(content) - len(SEQUENCE_END) if cut == "delimiter" else len(content) // 2
    path.write_bytes(content[:length])
    with pytest.raises(UnreadableError, match="001: the sequence delimiter behind its pixels"):
        open_film(path)


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
