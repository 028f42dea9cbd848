"""An image file's metadata are applied, and files that cannot be used are reported."""

import os
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from knee_attention.errors import ImageError
from knee_attention.films import image_files
from knee_attention.films.compression import check_packed
from knee_attention.films.image_files import MOST_PIXELS, read_image
from knee_attention.films.image_headers import pixels_declared
from knee_attention.films.inputs import FileInMemory, open_film
from knee_attention.films.radiograph import to_uint8

STAIRS = np.add.outer(np.arange(40) * 2, np.arange(60) * 2).astype(np.uint8)
MARKED = STAIRS.copy()
MARKED[:9, :12] = 250


def write_tiff(path, pixels: np.ndarray, white_is_zero: bool, order: str = "<", big: bool = False):
    """A TIFF file with one strip, classic or BigTIFF, in either byte order."""
    height, width = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    sample = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    head = 16 if big else 8
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8 * pixels.itemsize), (259, 3, 1),
            (262, 3, int(not white_is_zero)), (273, 4, head), (277, 3, 1), (278, 4, height),
            (279, 4, len(data)), (339, 3, sample)]  # fmt: skip
    word, mark = ("Q", "2sHHHQ") if big else ("I", "2sHI")
    start = (43, 8, 0, head + len(data)) if big else (42, head + len(data))
    content = struct.pack(order + mark, b"II" if order == "<" else b"MM", *start) + data
    content += struct.pack(order + ("Q" if big else "H"), len(tags))
    for number, kind, value in tags:
        cell = struct.pack(order + ("H" if kind == 3 else "I"), value).ljust(8 if big else 4, b"\0")
        content += struct.pack(order + "HH" + word, number, kind, 1) + cell
    path.write_bytes(content + struct.pack(order + word, 0))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_whose_white_is_zero_is_turned(tmp_path, dtype, order, big):
    pixels = MARKED.astype(dtype) * (200 if dtype == "u2" else 1)
    for white_is_zero in (False, True):
        write_tiff(tmp_path / "film.tif", pixels, white_is_zero, order, big)
        expected = pixels.astype(float) * (-1 if white_is_zero else 1)
        film = to_uint8(read_image(tmp_path / "film.tif"))
        np.testing.assert_allclose(film.astype(int), to_uint8(expected), atol=1)


TURNED = {2: MARKED[:, ::-1], 3: MARKED[::-1, ::-1], 6: np.rot90(MARKED, -1),
          8: np.rot90(MARKED)}  # fmt: skip


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", TURNED)
def test_the_orientation_of_exif_is_obeyed(tmp_path, suffix, orientation):
    if suffix == "webp" and int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("OpenCV 4 does not read the Exif data of WebP")
    image = pytest.importorskip("PIL.Image")
    exif = image.Exif()
    exif[274] = orientation
    path = tmp_path / f"film.{suffix}"
    image.fromarray(MARKED).save(path, exif=exif, quality=100)
    film, expected = read_image(path), TURNED[orientation]
    assert film.shape == expected.shape
    assert np.abs(film.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_a_file_of_several_images_is_refused(tmp_path, suffix):
    image = pytest.importorskip("PIL.Image")
    pages = [image.fromarray(MARKED), image.fromarray(MARKED[::-1].copy())]
    path = tmp_path / f"film.{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match="several pages or frames"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_colour_of_any_depth_is_luminance(tmp_path, dtype):
    colours = np.dstack([MARKED, MARKED // 2, MARKED // 3]).astype(dtype)
    cv2.imwrite(str(tmp_path / "film.tif"), colours)
    expected = colours.astype(float) @ [0.114, 0.587, 0.299]
    np.testing.assert_allclose(read_image(tmp_path / "film.tif"), expected, atol=0.51)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, value):
    film = MARKED.astype(np.float32)
    film[3, 4] = value
    cv2.imwrite(str(tmp_path / "film.tif"), film)
    with pytest.raises(ImageError, match="film.tif: .*NaN or infinity"):
        read_image(tmp_path / "film.tif")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["film.png", "film"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="not a regular file"):
        open_film(tmp_path / name)


def test_a_file_that_is_shortened_while_it_is_read_does_not_end_the_process(tmp_path, monkeypatch):
    def shorten(content):
        os.truncate(tmp_path / "film.png", 0)
        return True

    cv2.imwrite(str(tmp_path / "film.png"), MARKED)
    monkeypatch.setattr(image_files, "is_known", shorten)
    np.testing.assert_array_equal(read_image(tmp_path / "film.png"), MARKED)


def test_a_file_larger_than_any_film_is_not_read(tmp_path):
    (tmp_path / "film.tif").touch()
    os.truncate(tmp_path / "film.tif", image_files.MOST_BYTES + 1)
    with pytest.raises(ImageError, match="film.tif: larger than any film"):
        read_image(tmp_path / "film.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("behind", [0, 5, 5000])
def test_what_lies_behind_an_image_does_not_matter_and_what_lacks_does(tmp_path, suffix, behind):
    path = tmp_path / f"film.{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 90)).astype(np.uint8))
    content, expected = path.read_bytes(), read_image(path)
    path.write_bytes(content + bytes(behind))
    np.testing.assert_array_equal(read_image(path), expected)
    path.write_bytes(content[: len(content) * 2 // 3] + bytes(behind))
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_photograph(tmp_path):
    path = tmp_path / "film.jpg"
    cv2.imwrite(str(path), MARKED)
    content = path.read_bytes()
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + 8) + b"\xff\xd8....\xff\xd9"
    path.write_bytes(content[:2] + thumbnail + content[2:])
    assert read_image(path).shape == MARKED.shape
    path.write_bytes(content[:2] + thumbnail + content[2:-200])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".png", []),
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
        (".tif", []),
        (".bmp", []),
        (".jp2", []),
    ],
)
def test_an_image_s_size_is_known_before_it_is_decoded(suffix, settings):
    for shape in ((37, 211), (211, 37), (300, 513)):
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        done, content = cv2.imencode(suffix, image, settings)
        if suffix == ".jp2":  # the bare codestream, as in DICOM files
            whole = content.tobytes()
            content = whole[whole.index(b"\xff\x4f\xff\x51") :]
        assert pixels_declared(bytes(content)) == shape[0] * shape[1]


def test_a_webp_file_with_transparency_and_a_big_tiff_say_their_size(tmp_path):
    _, content = cv2.imencode(".webp", np.zeros((37, 211, 4), np.uint8))
    assert pixels_declared(content.tobytes()) == 37 * 211
    write_tiff(tmp_path / "film.tif", STAIRS, False, ">", True)
    assert pixels_declared((tmp_path / "film.tif").read_bytes()) == STAIRS.size


@pytest.mark.parametrize("stray", [b"\0", b"\xff\x01", b"\xff\xd0", b"\xff\0", b"\xff\xff"])
def test_what_stands_between_segments_does_not_hide_a_size(stray):
    content = cv2.imencode(".jpg", STAIRS)[1].tobytes()
    behind = 4 + struct.unpack_from(">H", content, 4)[0]
    content = content[:behind] + stray + content[behind:]
    assert read_image("film.jpg", content).shape == STAIRS.shape
    assert pixels_declared(content) == STAIRS.size


def with_width(path, kind: int) -> bytes:
    """A TIFF file whose first entry, the width, has the type `kind`."""
    write_tiff(path, STAIRS, False)
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, 8 + STAIRS.size + 2 + 2, kind)
    return bytes(content)


@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
def test_a_tiff_s_size_is_known_in_whatever_type_of_number_it_is(tmp_path, kind):
    content = with_width(tmp_path / "film.tif", kind)
    assert read_image("film.tif", content).shape == STAIRS.shape
    assert pixels_declared(content) == STAIRS.size


def test_an_image_that_does_not_say_its_size_is_not_decoded(tmp_path):
    """The width is a fraction, or an 8-byte number outside the entry."""
    for kind in (5, 16):
        with pytest.raises(ImageError, match="film.tif: not an image, or a damaged one"):
            read_image("film.tif", with_width(tmp_path / "film.tif", kind))


def test_the_first_width_of_a_tiff_is_its_width(tmp_path):
    """libtiff uses the first of two widths, so the second must not hide the size."""
    content = bytearray(with_width(tmp_path / "film.tif", 4))
    last = 8 + STAIRS.size + 2 + 9 * 12
    struct.pack_into("<HHII", content, last, 256, 4, 1, 1)
    assert read_image("film.tif", bytes(content)).shape == STAIRS.shape
    assert pixels_declared(bytes(content)) == STAIRS.size


def test_the_second_page_of_a_tiff_counts(tmp_path):
    pages = [np.zeros((20, 30), np.uint8), np.zeros((700, 900), np.uint8)]
    cv2.imwritemulti(str(tmp_path / "film.tif"), pages)
    assert pixels_declared((tmp_path / "film.tif").read_bytes()) == 700 * 900


def test_what_says_too_many_pixels_is_refused_whatever_it_holds(tmp_path):
    """The files are only headers, so decoding them would raise another error."""
    side = int(MOST_PIXELS**0.5) + 1
    size = struct.pack(">II", side, side)
    headers = {
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size,
        "jpg": b"\xff\xd8\xff\xff\xc2\0\x11\x08" + struct.pack(">HH", side, side) + bytes(9),
        "bmp": b"BM" + bytes(16) + struct.pack("<ii", side, -side),
        "webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + 2 * struct.pack("<I", side)[:3],
    }
    for suffix, header in headers.items():
        path = tmp_path / f"film.{suffix}"
        path.write_bytes(header)
        with pytest.raises(ImageError, match="pixels, more than the 100 million that are"):
            open_film(path)
        with pytest.raises(ImageError, match=f"film.{suffix}: 100 million pixels"):
            open_film(FileInMemory(path.name, header))


def test_a_format_that_does_not_say_its_size_here_is_not_decoded(tmp_path):
    bitmap = tmp_path / "film.png"
    bitmap.write_bytes(b"P4 11000 11000\n" + bytes(11000 * 11000 // 8))
    with pytest.raises(ImageError, match="film.png: a portable map image, which cannot be read"):
        read_image(bitmap)
    with pytest.raises(ImageError, match="film.dcm: not an image, or a damaged one"):
        open_film(FileInMemory("film.dcm", bytes(300)))
    with pytest.raises(ImageError, match="a HEIF image, .* save it as PNG or JPEG"):
        open_film(FileInMemory("film", b"\0\0\0\x18ftypheic" + bytes(100)))


def test_a_tiff_whose_pages_lie_beyond_all_files_is_damaged(tmp_path):
    path = tmp_path / "film.tif"
    path.write_bytes(b"II" + struct.pack("<HHHQ", 43, 8, 0, 2**64 - 16) + bytes(64))
    with pytest.raises(ImageError, match="not an image, or a damaged one"):
        read_image(path)


@pytest.mark.parametrize(
    "content", [b"", b"BM", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff", b"II*\0" * 9]
)
def test_what_breaks_off_says_no_size(content):
    assert pixels_declared(content) == 0


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_a_file_in_memory_is_read_as_one_on_a_disk(tmp_path, suffix):
    path = tmp_path / f"film.{suffix}"
    cv2.imwrite(str(path), MARKED)
    content = path.read_bytes()
    np.testing.assert_array_equal(
        open_film(FileInMemory("elsewhere", content)).pixels, open_film(path).pixels
    )


def tiled_tiff(packed: bytes, tile_width: int, tile_length: int | None) -> bytes:
    """A deflated TIFF file of 64x64 pixels with one tile; None leaves the tag TileLength out."""
    tags = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 1), (277, 1), (322, tile_width),
            (323, tile_length), (324, 8), (325, len(packed))]  # fmt: skip
    tags = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags if value is not None]
    head = b"II" + struct.pack("<HI", 42, 8 + len(packed)) + packed
    return head + struct.pack("<H", len(tags)) + b"".join(tags) + bytes(4)


def test_a_tiled_tiff_is_read():
    content = tiled_tiff(zlib.compress(bytes(64 * 64)), 64, 64)
    assert not read_image("film.tif", content).any()


@pytest.mark.parametrize("length", [0, None])
def test_a_tiff_without_a_tile_length_is_damaged(length):
    content = tiled_tiff(zlib.compress(bytes(64 * 64)), 64, length)
    with pytest.raises(ImageError, match="film.tif: its compressed data are damaged"):
        read_image("film.tif", content)


def test_a_large_tile_is_measured_in_little_memory():
    content = tiled_tiff(zlib.compress(bytes(2**26)), 2**14, 2**14)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="wrong size"):
            check_packed(content)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    check_packed(tiled_tiff(zlib.compress(bytes(2**26)), 2**13, 2**13))
