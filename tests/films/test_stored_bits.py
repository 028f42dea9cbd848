"""Films whose header states other bits than their pixels have are read by the pixels or refused."""

import cv2
import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402
from pydicom import dcmread  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402

openjpeg = pytest.importorskip("openjpeg.utils")
jpeg_ls = pytest.importorskip("jpeg_ls")

ROWS, COLUMNS = np.mgrid[:64, :96]
NOISE = np.random.default_rng(0).normal(0, 5, (64, 96))
FILM = np.clip(2000 + 1800 * np.sin(ROWS / 15) * np.cos(COLUMNS / 30) + NOISE, 0, 4095)
FILM = FILM.astype(np.uint16)
"""12 bits, as smooth as a film."""

GLYPH = np.zeros(FILM.shape, np.uint16)
GLYPH[10:30:2, 20:50] = 1

NATIVE, J2K, JLS, RLE = "native", JPEG2000Lossless, JPEGLSLossless, RLELossless
LOSSLESS = [NATIVE, RLE, J2K, JLS]


def film_of(path, words: np.ndarray, syntax: str, precision: int = 16, **elements):
    """A film of these words; the compressed data have `precision`, the header has `elements`."""
    dataset = dcmread(write_dicom(path, words.view(np.uint16), 16))
    if syntax == RLE:
        dataset.compress(RLE)
    elif syntax != NATIVE:
        if syntax == J2K:
            frame = openjpeg.encode_array(words, bits_stored=precision)
        else:
            frame = bytes(jpeg_ls.encode_array(words))
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if "PixelPaddingValue" in elements:
        dataset["PixelPaddingValue"].VR = "US"
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("bits", [8, 10, 11])
@pytest.mark.parametrize("high", [None, 15])
def test_too_few_bits_stored(tmp_path, syntax, bits, high):
    path = film_of(tmp_path / "001", FILM, syntax, 12, BitsStored=bits, HighBit=high or bits - 1)
    film = read_film(path)
    assert np.corrcoef(film.ravel(), FILM.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("bits", [10, 11])
def test_the_whole_range_is_inverted(tmp_path, syntax, bits):
    path = film_of(tmp_path / "001", FILM, syntax, 12, BitsStored=bits, HighBit=bits - 1,
                   PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    np.testing.assert_array_equal(read_film(path), 4095 - FILM)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_noise_that_no_reading_makes_an_image_of_is_refused(tmp_path, syntax):
    noise = np.random.default_rng(0).integers(0, 4096, FILM.shape).astype(np.uint16)
    path = film_of(tmp_path / "001", noise, syntax, 12, BitsStored=11, HighBit=10)
    with pytest.raises(ImageError, match="001: BitsStored is 11, .* export the film again"):
        read_film(path)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("high", [12, 13, 15])
@pytest.mark.parametrize("below", [0, 1])
def test_values_that_lie_as_high_as_the_header_says(tmp_path, syntax, high, below):
    """Bits below the value, such as an overlay in old files, are ignored."""
    words = (FILM << (high - 11)) | (GLYPH * below)
    path = film_of(tmp_path / "001", words, syntax, 16, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(read_film(path), FILM)


@pytest.mark.parametrize(
    ("syntax", "precision"), [(NATIVE, 16), (RLE, 16), (JLS, 16), (J2K, 12), (J2K, 16)]
)
@pytest.mark.parametrize("high", [0, 7, 10, 12, 15, 16, 40])
def test_values_that_do_not_lie_where_the_header_says(tmp_path, syntax, high, precision):
    path = film_of(tmp_path / "001", FILM, syntax, precision, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(read_film(path), FILM)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("place", [12, 13, 15])
@pytest.mark.parametrize("declared", [True, False])
def test_an_overlay_in_the_unused_bits(tmp_path, syntax, place, declared):
    path = film_of(tmp_path / "001", FILM | (GLYPH << place), syntax, 16, BitsStored=12, HighBit=11)
    if declared:
        dataset = dcmread(path)
        for element, vr, value in ((0x0010, "US", 64), (0x0011, "US", 96), (0x0100, "US", 16),
                                   (0x0102, "US", place)):  # fmt: skip
            dataset.add_new((0x6000, element), vr, value)
        dataset.save_as(path)
    np.testing.assert_array_equal(read_film(path), FILM)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("declared", [True, False])
def test_padding_and_labels_beyond_the_bits_stored(tmp_path, syntax, declared):
    words = FILM.copy()
    words[:, :9] = words[3:20, 60:70] = 65535
    padding = {"PixelPaddingValue": 65535} if declared else {}
    film = read_film(film_of(tmp_path / "001", words, syntax, 16, BitsStored=12, HighBit=11,
                             **padding))  # fmt: skip
    np.testing.assert_array_equal(film[30:, 9:], FILM[30:, 9:])


SIGNED = FILM.astype(np.int16) - 2048


@pytest.mark.parametrize("precision", [12, 16])
@pytest.mark.parametrize("representation", [0, 1])
def test_signed_jpeg_2000_whatever_the_header_says(tmp_path, precision, representation):
    path = film_of(tmp_path / "001", SIGNED, J2K, precision, BitsStored=12, HighBit=11,
                   PixelRepresentation=representation)  # fmt: skip
    np.testing.assert_array_equal(read_film(path), FILM)


@pytest.mark.parametrize("precision", [12, 16])
def test_unsigned_values_in_signed_jpeg_2000(tmp_path, precision):
    """The encoder treated unsigned 12-bit words as signed, so bright values became negative."""
    words = np.where(FILM > 2047, FILM.astype(np.int32) - 4096, FILM).astype(np.int16)
    path = film_of(tmp_path / "001", words, J2K, precision, BitsStored=12, HighBit=11,
                   PixelRepresentation=0)  # fmt: skip
    np.testing.assert_array_equal(read_film(path), FILM)


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("extended", [True, False])
def test_signed_values_as_words(tmp_path, syntax, extended):
    words = SIGNED.view(np.uint16) if extended else SIGNED.view(np.uint16) & 0xFFF
    path = film_of(tmp_path / "001", words, syntax, 16 if extended else 12, BitsStored=12,
                   HighBit=11, PixelRepresentation=1)  # fmt: skip
    np.testing.assert_array_equal(read_film(path), FILM)


def test_unsigned_jpeg_2000_that_the_header_takes_for_signed(tmp_path):
    path = film_of(tmp_path / "001", FILM, J2K, 12, BitsStored=12, HighBit=11,
                   PixelRepresentation=1)  # fmt: skip
    np.testing.assert_array_equal(read_film(path), FILM)


def test_a_codestream_of_fewer_bits_than_the_header_says(tmp_path):
    eight = (FILM >> 4).astype(np.uint8)
    path = film_of(tmp_path / "001", FILM, NATIVE, BitsStored=12, HighBit=11,
                   PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    dataset = dcmread(path)
    done, frame = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, 100])
    dataset.PixelData = encapsulate([frame.tobytes()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(path)
    np.testing.assert_allclose(read_film(path).astype(int), 255 - eight.astype(int), atol=3)


@pytest.mark.parametrize(
    "elements",
    [{"BitsStored": 60000}, {"HighBit": 65535}, {"BitsAllocated": 64}, {"BitsAllocated": 0}],
)
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_bits_that_no_word_has_are_read_or_refused(tmp_path, syntax, elements):
    path = film_of(tmp_path / "001", FILM | (GLYPH << 15), syntax, 16,
                   **{"BitsStored": 12, "HighBit": 11, **elements})  # fmt: skip
    dataset = dcmread(path)
    for group, place in ((0x6000, 65535), (0x6002, 15)):
        dataset.add_new((group, 0x0102), "US", place)
    dataset.save_as(path)
    try:
        film = read_film(path)
    except ImageError:
        return
    assert np.corrcoef(film[:, 60:].ravel(), FILM[:, 60:].ravel())[0, 1] > 0.99


def test_big_endian_words(tmp_path):
    dataset = dcmread(write_dicom(tmp_path / "001", SIGNED))
    dataset.PixelData = SIGNED.astype(">i2").tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(tmp_path / "001", dataset, implicit_vr=False, little_endian=False,
                     force_encoding=True)  # fmt: skip
    np.testing.assert_array_equal(read_film(tmp_path / "001"), FILM)
