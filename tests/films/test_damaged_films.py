"""A film with truncated or damaged data is refused if its codec can detect the damage.

    PYTHONPATH=tests python tests/films/test_damaged_films.py

writes the table of what happens to damaged files of every codec, damaged_films.md.
"""

import io
import logging
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("pydicom")
image_module = pytest.importorskip("PIL.Image")
pytest.importorskip("libjpeg")
pytest.importorskip("openjpeg")
pytest.importorskip("jpeg_ls")

import pydicom.pixels.decoders.pylibjpeg as plugin  # noqa: E402
from coded_films import (  # noqa: E402
    CUTS,
    END_BEHIND,
    FILM,
    FILM_8,
    codecs,
    dicom_around,
    encoded,
)
from dicom_files import END_OF_IMAGE, jpeg_lossless  # noqa: E402
from pydicom.uid import JPEGLosslessSV1  # noqa: E402

from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.films import jpeg  # noqa: E402
from knee_attention.films.inputs import FileInMemory, open_film  # noqa: E402
from knee_attention.films.jpeg_segments import SCAN, jpeg_segments  # noqa: E402

CODECS = {codec.name: codec for codec in codecs()}
OF_LIBJPEG = [name for name, codec in CODECS.items() if codec.decoder == "pylibjpeg-libjpeg"]


TABLE = Path(__file__).with_name("damaged_films.md")
KINDS = (*CUTS, END_BEHIND, "bit flipped", "60 bytes changed")

HEAD = f"""# Supported formats and damaged files

`PYTHONPATH=tests python tests/films/test_damaged_films.py` writes this table, and its tests check
it. The encoded data are damaged. A DICOM file around them is intact, unless it is uncompressed or
deflated. For "cut, with an end mark added" the codec's end mark is appended, and sizes and
checksums of PNG and WebP files are corrected. One bit is flipped in 8 files, and 60 bytes are
changed in 2 files, in the middle of the data.

- refused: every such file gives an error that names the file.
- some refused: some damaged data are a valid image of the codec, so the damage cannot be detected.
- read: the codec has neither checksums nor redundancy, so all such files are read.

| format | decoder | whole | {" | ".join(KINDS)} |
|---|---|---|{"---|" * len(KINDS)}
"""


def outcome(contents: list[bytes]) -> str:
    """`refused`, `read` or `some refused` for a list of files; `-` for an empty list."""
    refused = 0
    for content in contents:
        try:
            open_film(FileInMemory("film", content))
        except ImageError:
            refused += 1
    if not contents:
        return "-"
    return {0: "read", len(contents): "refused"}.get(refused, "some refused")


def table() -> str:
    """The text of the Markdown table."""
    rows = []
    for codec in CODECS.values():
        files = defaultdict(list)
        for kind, content in codec.damaged():
            files[kind].append(content)
        found = [outcome([codec.film(codec.coded)]), *(outcome(files[kind]) for kind in KINDS)]
        rows.append(f"| {codec.name} | {codec.decoder} | {' | '.join(found)} |\n")
    return HEAD + "".join(rows)


def opened(content: bytes) -> np.ndarray:
    return open_film(FileInMemory("film", content)).pixels


@pytest.mark.parametrize("name", CODECS)
def test_a_whole_film_is_read(name, monkeypatch):
    def not_asked(*_, **__):
        raise AssertionError("libjpeg was asked")

    if name not in OF_LIBJPEG:
        for syntax in plugin._LIBJPEG_SYNTAXES:
            monkeypatch.setitem(plugin._DECODERS, syntax, {"libjpeg": not_asked})
    film = opened(CODECS[name].film(CODECS[name].coded))
    if "HTJ2K" in name:
        rows, columns = np.mgrid[:32, :48]
        expected = ((np.sin(columns / 7) * np.cos(rows / 9) + 1) * 30000).astype(np.uint16) >> 6
    else:
        expected = FILM if film.max() > 255 else FILM_8
    if "colour" not in name:  # a colour film has the same shape, but other values
        lossy = "JPEG" in name and "less" not in name or "lossy" in name or "near" in name
        assert np.abs(film.astype(int) - expected).mean() <= expected.max() / 100 * lossy
    assert film.shape == expected.shape


@pytest.mark.parametrize("name", CODECS)
def test_a_film_that_breaks_off_is_refused_in_one_sentence(name):
    codec = CODECS[name]
    half = codec.coded[: len(codec.coded) // 2]
    for broken in (half, codec.ended(half)) if codec.ended else (half,):
        with pytest.raises(ImageError, match="^film: [^\n]*(damaged|truncated|without pixels)"):
            opened(codec.film(broken))


@pytest.mark.parametrize("name", [name for name in CODECS if "progressive" in name])
def test_a_progressive_film_without_its_last_scans_is_refused(name):
    coded = CODECS[name].coded
    scans = [start - 2 for marker, start, _ in jpeg_segments(coded) if marker == SCAN]
    assert len(scans) > 4
    for start in scans:
        with pytest.raises(ImageError, match="truncated"):
            opened(coded[:start] + END_OF_IMAGE)


def test_a_phone_s_wrong_spectral_selection_does_not_matter():
    coded = encoded(".jpg", FILM_8)
    end = next(end for marker, _, end in jpeg_segments(coded) if marker == SCAN)
    wrong = coded[: end - 3] + b"\1\2\0" + coded[end:]
    np.testing.assert_array_equal(opened(wrong), opened(coded))


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_kind_of_lossless_jpeg_is_whole(predictor, bits):
    image = np.random.default_rng(0).integers(0, 1 << bits, (16, 21)).astype(np.uint16)
    film = dicom_around(JPEGLosslessSV1, bits, image.shape)
    for rows_together in (0, 4):
        coded = jpeg_lossless(image, bits, predictor, rows_together)
        np.testing.assert_array_equal(opened(film(coded)), image)
        for broken in (coded[:-12] + END_OF_IMAGE, coded[:-2], coded[:-2] + bytes(8) + coded[-2:]):
            with pytest.raises(ImageError, match="damaged"):
                opened(film(broken))


@pytest.mark.parametrize("name", [name for name in CODECS if "JPEG-LS" in name])
def test_jpeg_ls_without_an_end_is_refused_at_once(name):
    codec = CODECS[name]
    start = time.process_time()
    with pytest.raises(ImageError, match="damaged"):
        opened(codec.film(codec.coded[: len(codec.coded) // 2]))
    assert time.process_time() - start < 1


def test_a_run_length_encoded_segment_of_another_size_is_refused():
    codec = CODECS["DICOM, RLE"]
    for longer in (b"\3abcd", b"\xfd\0", b"\5abc"):
        with pytest.raises(ImageError, match="damaged"):
            opened(codec.film(codec.coded + longer))


def with_pillow(image, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **settings)
    return buffer.getvalue()


def test_jpeg_is_decoded_as_by_opencv():
    colour = cv2.applyColorMap(FILM_8, cv2.COLORMAP_JET)
    picture = image_module.fromarray(colour)
    exif = image_module.Exif()
    exif[274] = 6
    for coded in (
        encoded(".jpg", FILM_8), encoded(".jpg", colour), with_pillow(picture, subsampling=0),
        with_pillow(picture, keep_rgb=True), with_pillow(picture.convert("CMYK")),
        with_pillow(picture, exif=exif), with_pillow(picture, progressive=True),
    ):  # fmt: skip
        expected = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_ANYCOLOR)
        np.testing.assert_array_equal(jpeg.decode(coded), expected)
        with pytest.raises(jpeg.DamagedJpeg):
            jpeg.decode(coded[: len(coded) // 2] + END_OF_IMAGE)


def test_the_table_of_damaged_films_is_what_happens():
    assert TABLE.read_text(encoding="utf-8") == table()


def test_nowhere_is_a_film_read_that_breaks_off():
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert {row[0] for row in rows} == set(CODECS)
    for row in rows:
        assert row[2] == "read" and {*row[3:6]} == {"refused"} and row[6] in ("refused", "-")


if __name__ == "__main__":
    logging.disable()  # pydicom logs every damaged frame
    TABLE.write_text(table(), encoding="utf-8")
