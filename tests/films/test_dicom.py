"""DICOM radiographs: orientation, padding, and elements that state a view."""

import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

from dicom_files import view_code, write_dicom  # noqa: E402
from pydicom import Dataset, dcmread  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from knee_attention.data_prep.dicom_trees import Filter  # noqa: E402
from knee_attention.errors import ImageError  # noqa: E402
from knee_attention.films.dicom.header import read_header  # noqa: E402
from knee_attention.films.dicom.pixels import read_film  # noqa: E402
from knee_attention.films.inputs import open_film  # noqa: E402

STORED = np.random.default_rng(0).integers(100, 4000, (40, 56)).astype(np.uint16)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (["L", "F"], STORED),
        (["R", "F"], STORED[:, ::-1]),
        (["L", "H"], STORED[::-1]),
        (["R", "H"], STORED[::-1, ::-1]),
        (["F", "L"], STORED.T),
        (["F", "R"], STORED.T[:, ::-1]),
        (["H", "R"], STORED.T[::-1, ::-1]),
        (["RA", "FP"], STORED[:, ::-1]),
        (["A", "F"], STORED),  # a lateral view
        (["P", "L"], STORED),
        ("", STORED),
        ("R", STORED),
        (None, STORED),
    ],
)
def test_the_patients_left_is_on_the_right_and_the_feet_are_below(tmp_path, orientation, upright):
    path = write_dicom(tmp_path / "001", STORED, PatientOrientation=orientation)
    np.testing.assert_array_equal(read_film(path), upright)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("value", "limit"), [(0, None), (4095, None), (0, 20), (4095, 4080)])
def test_padding_is_as_dark_as_the_darkest_of_the_image(tmp_path, photometric, value, limit):
    stored = STORED.copy()
    stored[:, :8] = value
    stored[:, 50:] = value if limit is None else (value + limit) // 2
    path = write_dicom(
        tmp_path / "001", stored, photometric=photometric,
        PixelPaddingValue=value, PixelPaddingRangeLimit=limit,
    )  # fmt: skip
    film, image = read_film(path), slice(8, 50)
    expected = stored[:, image] if photometric == "MONOCHROME2" else 4095 - stored[:, image]
    np.testing.assert_array_equal(film[:, image], expected)
    assert np.unique(film[:, :8]) == np.unique(film[:, 50:]) == expected.min()


def test_signed_padding(tmp_path):
    stored = STORED.astype(np.int16) - 2048
    stored[:5] = -2048
    path = write_dicom(tmp_path / "001", stored, photometric="MONOCHROME1", PixelPaddingValue=-2048)
    assert np.unique(read_film(path)[:5]) == read_film(path)[5:].min()


def with_text(path, old: bytes, new: bytes):
    """A copy of a file in which one text is replaced by another of the same length."""
    content = path.read_bytes()
    assert content.count(old) == 1 and len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize(
    "text",
    [b"0.15", b"0,15\\0,15", b"abc", b"abc\\def", b"0.15\\", b"nan\\nan", b"inf\\inf", b"-1\\-1"],
)
def test_a_spacing_that_is_none_is_as_good_as_no_spacing(tmp_path, text):
    path = write_dicom(tmp_path / "001", STORED, PixelSpacing=[0.123, 0.4567])
    with_text(path, b"0.123\\0.4567", text.ljust(12))
    assert read_header(path).spacing is None
    np.testing.assert_array_equal(read_film(path), STORED)


def test_the_other_spacing_is_taken_where_one_is_none(tmp_path):
    path = write_dicom(
        tmp_path / "001", STORED, ImagerPixelSpacing=[0.123, 0.4567], PixelSpacing=[0.2, 0.3]
    )
    assert read_header(with_text(path, b"0.123\\0.4567", b"0,123\\0,4567")).spacing == (0.2, 0.3)


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelRepresentation": None},
        {"BitsStored": None},
        {"BitsStored": 0},
    ],
)
def test_what_makes_the_pixels_unreadable_is_an_image_error(tmp_path, elements):
    path = write_dicom(tmp_path / "001", STORED)
    dataset = dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)
    with pytest.raises(ImageError, match="001"):
        read_film(path)


@pytest.mark.parametrize(
    ("syntax", "extra"),
    [
        (JPEGExtended12Bit, "dicom-jpeg"),
        (JPEGLosslessSV1, "dicom-jpeg"),
        (JPEGLSLossless, "dicom-jpeg"),
        (JPEG2000Lossless, "dicom"),
        (HTJ2KLossless, "dicom"),
    ],
)
def test_a_film_without_its_decoder_names_the_extra_that_brings_it(tmp_path, syntax, extra):
    path = write_dicom(tmp_path / "001", STORED, compression=RLELossless)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    decoders = ["pylibjpeg", "jpeg_ls", "gdcm"] + ["PIL"] * (extra == "dicom")
    code = ("import sys; sys.modules.update(dict.fromkeys(sys.argv[2:]))\n"
            "from knee_attention.films.inputs import open_film\n"
            "open_film(sys.argv[1])")
    command = [sys.executable, "-c", code, path, *decoders]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    assert f'{syntax.name} needs a decoder: pip install -e ".[{extra}]" in the clone' in said


def test_a_film_of_900_million_pixels_is_not_decoded(tmp_path):
    path = write_dicom(tmp_path / "001", STORED, Rows=None)
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 30_000
    dataset.save_as(path)
    with pytest.raises(ImageError, match="001: 900 million pixels"):
        read_film(path)


@pytest.mark.parametrize("size", [(30_000, 30_000), (65_535, 2_000)])
def test_compressed_data_larger_than_the_header_says_are_not_decoded(tmp_path, size):
    """The compressed data are only a header, so decoding them would raise another error."""
    path = write_dicom(tmp_path / "001", STORED)
    dataset = pydicom.dcmread(path)
    frame = b"\xff\xd8\xff\xf7\0\x0b\x0c" + struct.pack(">HH", *size) + b"\1\1\x11\0\xff\xd9"
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.save_as(path)
    with pytest.raises(ImageError, match="001: (900|131) million pixels"):
        read_film(path)


def test_a_deflated_film_is_not_unpacked_without_end(tmp_path):
    path = write_dicom(tmp_path / "001", STORED)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_film(path), STORED)
    content = path.read_bytes()
    (length,) = struct.unpack_from("<I", content, 140)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(10_000_000)) for _ in range(50)) + packer.flush()
    path.write_bytes(content[: 144 + length] + bomb)
    with pytest.raises(ImageError, match="inflates to more than 400 MB"):
        read_header(path)
    path.write_bytes(content[: 144 + length] + b"no stream")
    with pytest.raises(ImageError, match="damaged"):
        read_header(path)


def test_a_film_in_memory_is_read_as_one_on_a_disk(tmp_path):
    path = write_dicom(tmp_path / "001", STORED)
    content = path.read_bytes()
    np.testing.assert_array_equal(read_film(tmp_path / "none", content), read_film(path))
    assert read_header(tmp_path / "none", content) == read_header(path)
    for damaged, reason in ((b"", "the file is empty"), (content[:300], "without pixels")):
        with pytest.raises(ImageError, match=f"none: .*{reason}"):
            read_film(tmp_path / "none", damaged)


def test_reading_in_threads_leaves_the_warning_filters_alone(tmp_path):
    path = write_dicom(tmp_path / "001", STORED, PatientOrientation=["L", "F"])
    content = path.read_bytes()
    assert content.count(b"20040101") == 1
    path.write_bytes(content.replace(b"20040101", b"2004-1-1"))
    before, switched = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            films = list(pool.map(read_film, [path] * 100))
    finally:
        sys.setswitchinterval(switched)
    assert warnings.filters == before
    np.testing.assert_array_equal(films[0], STORED)


@pytest.mark.parametrize(("elements", "name", "side"), [
    ({"ImageLaterality": "R"}, "exam_L.dcm", "R"),
    ({"Laterality": "L"}, "1.2.3", "L"),
    ({"ImageLaterality": "L", "Laterality": "R"}, "1.2.3", "L"),
    ({"ImageLaterality": "B"}, "1.2.3", None),
    ({"ImageLaterality": "U"}, "exam_R.dcm", "R"),
    ({}, "exam_L.dcm", "L"),
])  # fmt: skip
def test_the_header_says_the_side_before_the_name_does(tmp_path, elements, name, side):
    film = open_film(write_dicom(tmp_path / name, STORED, **elements))
    assert film.pixels.shape == STORED.shape and film.side == side


PIXELS = np.zeros((20, 30), np.uint16)

LATERAL = [
    *({"PatientOrientation": way} for way in (["A", "F"], ["P", "F"], ["A", "H"], ["F", "A"],
                                              ["AL", "F"], ["PR", "FA"], ["L", "P"], "A")),
    *({"ViewPosition": position} for position in ("LL", "RL", "LLD", "RLO", "LAT", "LATERAL")),
    *({"ViewCodeSequence": [view_code(value)]} for value in (
        "399067008", "399173006", "399198007", "399260004", "399352003", "399368009", "399110001",
    )),
    {"ViewCodeSequence": [view_code("R-10236", "", "SRT")]},
    {"ViewCodeSequence": [view_code("7", "medio-lateral", "99HOSPITAL")]},
    {"ViewCodeSequence": [view_code("7", "Patella skyline", "99HOSPITAL")]},
    {"ViewCodeSequence": [view_code("7", "KNEE_LAT", "99HOSPITAL")]},
]  # fmt: skip

FRONTAL = [
    {},
    *({"PatientOrientation": way} for way in (["L", "F"], ["R", "F"], ["F", "L"], ["LA", "FP"], "",
                                              "R", "AP", "PA")),
    *({"ViewPosition": position} for position in ("AP", "PA", "")),
    *({"ViewCodeSequence": [view_code(value)]} for value in ("399348003", "272479007",
                                                            "399033003")),
    {"ViewCodeSequence": [view_code("7", "Bilateral PA", "99HOSPITAL")]},
    {"ViewCodeSequence": []},
    {"ViewCodeSequence": [Dataset()]},
]  # fmt: skip


@pytest.mark.parametrize("elements", LATERAL)
def test_what_is_no_view_from_the_front_is_left_out(tmp_path, elements):
    named = read_header(write_dicom(tmp_path / "001", PIXELS, BodyPartExamined="KNEE", **elements))
    assert named.series and named.other_view
    unnamed = replace(named, series="")
    for wanted, header in ((Filter(), named), (Filter(), unnamed), (Filter("knee"), named)):
        assert wanted.objection(header).startswith("another view: ")
    pytest.importorskip("pynetdicom")
    pytest.importorskip("highdicom")
    from knee_attention.grading.node.node import objection

    assert objection(named).startswith("another view: ")


@pytest.mark.parametrize(("elements", "series", "reason"), [
    ({"BodyPartExamined": "HAND"}, None, "another body part: HAND"),
    ({"ViewPosition": "AP"}, None, "another view: AP"),
    ({"BodyPartExamined": "RIGHT KNEE", "ViewPosition": "PA"}, None, None),
    ({}, None, None),
    ({"BodyPartExamined": "HAND", "ViewPosition": "AP"}, "", None),
])  # fmt: skip
def test_body_part_and_view_count_if_no_series_is_named(tmp_path, elements, series, reason):
    film = write_dicom(tmp_path / "001", PIXELS, SeriesDescription=None, **elements)
    assert Filter(series).objection(read_header(film)) == reason


@pytest.mark.parametrize(("elements", "reason"), [
    ({"SeriesDescription": "KNEE_LAT"}, "another view: KNEE_LAT"),
    ({"SeriesDescription": "LATERAL_KNEE"}, "another view: LATERAL_KNEE"),
    ({"SeriesDescription": "KNEE_BILATERAL"}, None),
    ({"ViewPosition": "AP_WB"}, None), ({"ViewPosition": "WB_PA"}, None),
    ({"ViewPosition": "SPA"}, "another view: SPA"),
])  # fmt: skip
def test_the_node_knows_words_joined_by_underscores(tmp_path, elements, reason):
    pytest.importorskip("pynetdicom")
    pytest.importorskip("highdicom")
    from knee_attention.grading.node.node import objection

    film = write_dicom(tmp_path / "001", PIXELS, BodyPartExamined="KNEE", **elements)
    assert objection(read_header(film)) == reason


@pytest.mark.parametrize("elements", FRONTAL)
def test_a_view_from_the_front_is_taken(tmp_path, elements):
    header = read_header(write_dicom(tmp_path / "001", PIXELS, **elements))
    assert header.other_view == "" and Filter().objection(header) is None
