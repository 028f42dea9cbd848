"""Pixels that are not square are resampled to square ones, in PNG, JPEG, TIFF and DICOM files."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from knee_attention.errors import ImageError
from knee_attention.films.image_files import read_image
from knee_attention.films.inputs import FileInMemory, open_film
from knee_attention.films.pixel_aspect import plausible_aspect, square_pixels

image_library = pytest.importorskip("PIL.Image")
pytest.importorskip("pydicom")
from dicom_files import write_dicom  # noqa: E402

from knee_attention.films.dicom.geometry import stored_box  # noqa: E402
from knee_attention.films.dicom.header import read_dataset  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402

HEIGHT, WIDTH = 60, 80
SQUARE = np.zeros((HEIGHT, WIDTH), np.uint8)
SQUARE[20:40, 30:50] = 200
"""A square of 20 by 20 on a film whose pixels are square."""

WIDER = SQUARE[:, ::2].copy()
"""The same film with pixels twice as wide as high: 60 by 40."""


def file_of(path, kind: str, pixels: np.ndarray, across: int, down: int, turn: int = 1) -> bytes:
    """An image file with `across` and `down` pixels per unit and an Exif orientation."""
    picture = image_library.fromarray(pixels)
    exif = image_library.Exif()
    if turn != 1:
        exif[274] = turn
    if kind == "png":
        content = cv2.imencode(".png", pixels)[1].tobytes()
        data = b"pHYs" + struct.pack(">IIB", across, down, 0)
        chunks = struct.pack(">I", 9) + data + struct.pack(">I", zlib.crc32(data))
        if turn != 1:
            data = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
            chunks += struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
        path.write_bytes(content[:33] + chunks + content[33:])
    elif kind == "jfif":
        picture.save(path, "JPEG", quality=100, dpi=(across, down), exif=exif)
    elif kind == "jfif without a unit":
        picture.save(path, "JPEG", quality=100, exif=exif)
        content = bytearray(path.read_bytes())
        place = content.index(b"JFIF\0") + 7
        struct.pack_into(">BHH", content, place, 0, across, down)
        path.write_bytes(content)
    elif kind == "tiff":
        picture.save(path, "TIFF", dpi=(across, down), tiffinfo={274: turn})
    else:
        exif[282], exif[283] = float(across), float(down)
        picture.save(path, "JPEG", quality=100, exif=exif)
    return path.read_bytes()


KINDS = ["png", "jfif", "jfif without a unit", "exif of a jpeg", "tiff"]


def side_lengths(film: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(film > film.max() / 2)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_file_with_wide_pixels_is_widened(tmp_path, kind):
    content = file_of(tmp_path / "film", kind, WIDER, 100, 200)
    film = open_film(FileInMemory("film", content))
    assert film.pixels.shape == (HEIGHT, WIDTH) and film.pixel_aspect == pytest.approx(0.5)
    assert side_lengths(film.pixels) == (20, 20)
    np.testing.assert_array_equal(read_image(tmp_path / "film"), film.pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("across", "down"), [(150, 150), (0, 100), (100, 0), (1, 100), (254, 100),
                                              (2834, 2835)])  # fmt: skip
def test_square_and_impossible_pixels_change_nothing(tmp_path, kind, across, down):
    content = file_of(tmp_path / "film", kind, WIDER, across, down)
    film = open_film(FileInMemory("film", content))
    assert film.pixels.shape == WIDER.shape and film.pixel_aspect == 1


@pytest.mark.parametrize("turn", [3, 6, 8])
@pytest.mark.parametrize("kind", ["png", "jfif", "exif of a jpeg", "tiff"])
def test_a_film_is_made_square_whichever_way_exif_turns_it(tmp_path, kind, turn):
    content = file_of(tmp_path / "film", kind, WIDER, 100, 200, turn)
    film = read_image("film", content)
    assert film.shape == ((HEIGHT, WIDTH) if turn == 3 else (WIDTH, HEIGHT))
    assert side_lengths(film) == (20, 20)


def test_exif_speaks_where_jfif_has_the_default_of_encoders(tmp_path):
    exif = image_library.Exif()
    exif[282], exif[283] = 100.0, 200.0
    image_library.fromarray(WIDER).save(tmp_path / "film.jpg", exif=exif)
    content = (tmp_path / "film.jpg").read_bytes()
    jfif = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    assert read_image("film.jpg", content[:2] + jfif + content[2:]).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_every_type_keeps_its_values(dtype):
    film = square_pixels((WIDER.astype(dtype)), 0.5)
    assert film.dtype == dtype and film.shape == (HEIGHT, WIDTH)
    assert (film.min(), film.max()) == (0, 200)


def test_square_pixels_are_not_copied():
    assert square_pixels(WIDER, 1.0) is WIDER


@pytest.mark.parametrize(
    ("sizes", "aspect"),
    [((0.4, 0.5), 0.8), ((1, 2.5), 0.4), ((2.5, 1), 2.5), ((1, 2.54), 1), ((1, 0), 1),
     ((-1, -2), 1), ((np.nan, 1), 1), ((1e-320, 1e300), 1), ((1, 1.009), 1)],
)  # fmt: skip
def test_a_ratio_that_no_film_has_is_ignored(sizes, aspect):
    assert plausible_aspect(*sizes) == pytest.approx(aspect)


@pytest.mark.parametrize(
    ("elements", "aspect"),
    [
        ({"PixelAspectRatio": [1, 2]}, 0.5),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, 0.5),
        ({"PixelSpacing": [0.1, 0.2]}, 0.5),
        ({"NominalScannedPixelSpacing": [0.1, 0.2]}, 0.5),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelAspectRatio": [1, 2]}, 1),
        ({"PixelSpacing": [0, 0.2], "PixelAspectRatio": [1, 2]}, 0.5),
        ({"PixelAspectRatio": [1, 100]}, 1),
        ({"PixelAspectRatio": [0, 0]}, 1),
        ({"PixelAspectRatio": None}, 1),
    ],
)
def test_a_dicom_film_with_wide_pixels_is_widened(tmp_path, elements, aspect):
    path = write_dicom(tmp_path / "001", WIDER.astype(np.uint16), **elements)
    film = open_film(path)
    assert film.pixel_aspect == aspect
    assert film.pixels.shape == ((HEIGHT, WIDTH) if aspect == 0.5 else WIDER.shape)
    assert side_lengths(film.pixels) == ((20, 20) if aspect == 0.5 else (20, 10))


@pytest.mark.parametrize("orientation", [["L", "F"], ["R", "H"], ["F", "L"], ["H", "R"]])
@pytest.mark.parametrize("ratio", [[1, 2], [2, 1]])
def test_a_box_is_found_again_in_the_pixels_of_the_file(tmp_path, orientation, ratio):
    path = write_dicom(tmp_path / "001", WIDER.astype(np.uint16), PatientOrientation=orientation,
                       PixelAspectRatio=ratio)  # fmt: skip
    film = read_film(path)
    rows, columns = np.nonzero(film > 100)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(stored_box(box, read_dataset(path)), (15, 20, 25, 40), atol=0.5)


def test_a_film_that_would_become_too_large_is_refused(tmp_path):
    path = write_dicom(tmp_path / "001", WIDER.astype(np.uint16), PixelAspectRatio=[1, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("knee_attention.films.image_files.MOST_PIXELS", HEIGHT * WIDTH - 1)
        with pytest.raises(ImageError, match="million pixels"):
            read_film(path)
        with pytest.raises(ImageError, match="million pixels"):
            read_image("film", file_of(tmp_path / "film", "png", WIDER, 100, 200))
