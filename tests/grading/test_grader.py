"""`load_grader`: films and knees of every kind, with every kind of model file."""

import os
from contextlib import suppress

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

import knee_attention
from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.errors import ImageError, InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import read_image
from knee_attention.films.legs import split_knees
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import prepare_knee
from knee_attention.networks.files.model_files import read_description, save_model
from knee_attention.networks.files.onnx_export import export_onnx
from knee_attention.networks.model import build_model
from knee_attention.phantoms.film import phantom_film

SIZE = (96, 96)


@pytest.fixture(scope="module")
def model():
    return build_model("antony_clsf", ("att1", "att2"), "multi_loss", SIZE)


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """The files of one model, `{suffix: path}`; it grades by att2."""
    folder = tmp_path_factory.mktemp("models")
    said = {"name": "small", "chosen": "att2", "synthetic": True, **Preparation().described()}
    for suffix in (".h5", ".keras"):
        save_model(model, folder / f"model{suffix}", said)
    paths = {suffix: folder / f"model{suffix}" for suffix in (".h5", ".keras")}
    with suppress(InputError):
        export_onnx(model, folder / "model.onnx", read_description(paths[".h5"]))
        paths[".onnx"] = folder / "model.onnx"
    return paths


@pytest.fixture(scope="module")
def grader(files):
    return knee_attention.load_grader(files[".h5"])


@pytest.fixture(scope="module")
def film():
    return phantom_film((0, 4), seed=3, height=256).image


def probabilities(knees):
    return np.stack([knee.branches[name] for knee in knees for name in knee.branches])


def test_a_model_file_that_is_replaced_while_it_is_read_is_refused(files, tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    path.write_bytes(files[".h5"].read_bytes())
    monkeypatch.setattr("knee_attention.grading.keras_network.load_model",
                        lambda path: path.write_bytes(b"another"))  # fmt: skip
    with pytest.raises(InputError, match="model.h5: replaced since the model was read"):
        knee_attention.load_grader(path)


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".onnx"])
def test_a_film_is_graded_as_the_model_says_of_its_prepared_halves(model, files, film, suffix):
    if suffix not in files:
        pytest.skip("onnx is not installed")
    halves = split_knees(film, "auto")
    prepared = np.stack([prepare_knee(halves[side], SIZE) for side in "RL"])[..., np.newaxis]
    expected = model.predict(prepared.astype(np.float32), verbose=0)
    knees = knee_attention.load_grader(files[suffix]).grade(film)
    assert [knee.side for knee in knees] == ["R", "L"]
    for position, knee in enumerate(knees):
        np.testing.assert_array_equal(knee.image, prepared[position, ..., 0])
        for output in ("att1", "att2"):
            np.testing.assert_allclose(knee.branches[output], expected[output][position], atol=1e-5)
        assert knee.chosen == "att2" and knee.grade == knee.branches["att2"].argmax()
        assert knee.expected_grade == pytest.approx(knee.branches["att2"] @ range(5))
        assert knee.oa_probability == pytest.approx(knee.branches["att2"][2:].sum())
        between = np.sort([knee.branches["att1"], knee.branches["att2"]], axis=0)
        assert knee.ensemble.sum() == pytest.approx(1)
        assert (knee.ensemble >= between[0] * 0.9).all()
        assert set(knee.masks) == {"att1", "att2"} and knee.masks["att1"].shape == SIZE
        assert all(0 < mask.min() and mask.max() < 1 for mask in knee.masks.values())


def test_bits_format_and_photometric_interpretation_do_not_change_a_grade(grader, film, tmp_path):
    pytest.importorskip("pydicom")

    cv2.imwrite(str(tmp_path / "8.png"), film)
    cv2.imwrite(str(tmp_path / "16.png"), film.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "colour.tif"), cv2.cvtColor(film, cv2.COLOR_GRAY2BGR))
    twelve = film.astype(np.uint16) * 16
    write_dicom(tmp_path / "2.dcm", twelve)
    write_dicom(tmp_path / "1.dcm", 4095 - twelve, photometric="MONOCHROME1")
    (tmp_path / "no_suffix").write_bytes((tmp_path / "1.dcm").read_bytes())
    expected = probabilities(grader.grade(film))
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(probabilities(grader.grade(path)), expected, str(path))


def test_a_view_that_the_header_calls_lateral_is_graded_only_if_asked(grader, film, tmp_path):
    pytest.importorskip("pydicom")

    path = tmp_path / "film.dcm"
    write_dicom(path, film.astype(np.uint16) * 16, ViewPosition="LL")
    with pytest.raises(ImageError, match="film.dcm: its header states another view .*LL"):
        grader.grade(path)
    assert len(grader.grade(path, "bilateral")) == 2


def test_a_prepared_knee_is_taken_as_it_is(grader, film):
    half = prepare_knee(split_knees(film, "auto")["R"], SIZE)
    [knee] = grader.grade(half)
    assert knee.side is None
    assert abs(knee.image.astype(int) - half).mean() < 3


@pytest.mark.parametrize(
    "cutting",
    [
        Cutting(),
        Cutting("middle", (160, 112), "pad", "none", flip_left=True),
        Cutting("auto", (64, 64), "stretch", "clahe"),
    ],
)
def test_a_film_is_cut_as_the_knees_that_the_model_learnt_from(model, film, tmp_path, cutting):
    save_model(model, tmp_path / "model.h5", Preparation(cutting).described())
    grader = knee_attention.load_grader(tmp_path / "model.h5")
    cv2.imwrite(str(tmp_path / "9001695.png"), film)
    rows = Cutter(tmp_path / "knees", cutting)(tmp_path / "9001695.png")
    for row, knee in zip(rows, grader.grade(tmp_path / "9001695.png"), strict=True):
        learnt = prepare_knee(read_image(tmp_path / "knees" / row["file"]), SIZE)
        np.testing.assert_array_equal(knee.image, learnt)
        [same] = grader.grade(tmp_path / "knees" / row["file"])
        np.testing.assert_array_equal(same.image, learnt)
        assert knee.side == same.side == row["side"]


def test_a_half_of_unknown_side_cannot_be_mirrored_as_the_model_learnt(model, film, tmp_path):
    said = Preparation(Cutting(flip_left=True)).described()
    save_model(model, tmp_path / "model.h5", said)
    grader = knee_attention.load_grader(tmp_path / "model.h5")
    half = split_knees(film, "auto")["L"]
    with pytest.raises(ImageError, match="the side of this knee is unknown"):
        grader.grade(half)
    cv2.imwrite(str(tmp_path / "9001695_L.png"), half)
    [named] = grader.grade(tmp_path / "9001695_L.png")
    np.testing.assert_array_equal(named.image, grader.grade(film)[1].image)


@pytest.mark.parametrize(
    "preparation",
    [{"fit": "pad", "equalization": "none"}, {"fit": "stretch", "equalization": "clahe"}],
)
def test_the_preparation_is_the_one_the_model_names(model, film, tmp_path, preparation):
    save_model(model, tmp_path / "model.h5", {"preparation": preparation})
    halves = split_knees(film, "auto")
    for knee in knee_attention.load_grader(tmp_path / "model.h5").grade(film):
        expected = prepare_knee(halves[knee.side], SIZE, **preparation)
        np.testing.assert_array_equal(knee.image, expected)


def test_a_side_is_read_from_the_name_of_a_single_knee(grader, film, tmp_path):
    half = split_knees(film, "auto")["L"]
    sides = {"9001695_L.png": "L", "9001695R.png": "R", "PAT00_film_L.png": "L",
             "KNEE-A_R.png": "R", "FINAL.png": None}  # fmt: skip
    for name, side in sides.items():
        cv2.imwrite(str(tmp_path / name), half)
        [knee] = grader.grade(tmp_path / name)
        assert knee.side == side


def test_the_view_decides_how_many_knees_there_are(grader, film):
    half = split_knees(film, "auto")["R"]
    assert len(grader.grade(film, "single")) == 1
    assert len(grader.grade(half)) == 1
    with pytest.raises(ImageError, match="the image: .*(single|one) knee"):
        grader.grade(half, "bilateral")


def test_batches_keep_their_order_around_what_is_bad(grader, film, tmp_path):
    halves = split_knees(film, "auto")
    images = [halves["R"], tmp_path / "missing.png", film, halves["L"], np.zeros((4, 4)), film]
    single = [grader.grade(images[position]) for position in (0, 2, 3, 5)]
    for batch_size in (1, 3, 32):
        graded = list(grader.grade_all(images, batch_size=batch_size))
        assert [image is expected for (image, _), expected in zip(graded, images, strict=True)]
        assert [isinstance(knees, ImageError) for _, knees in graded] == [0, 1, 0, 0, 1, 0]
        good = [knees for _, knees in graded if not isinstance(knees, ImageError)]
        for knees, expected in zip(good, single, strict=True):
            np.testing.assert_allclose(probabilities(knees), probabilities(expected), atol=1e-6)
    assert "missing.png" in str(graded[1][1])
    with pytest.raises(InputError, match="a batch size of at least 1. Received: 0"):
        next(grader.grade_all(images, batch_size=0))


def test_a_film_in_colour_shows_both_its_knees(grader, film):
    expected = probabilities(grader.grade(film))
    np.testing.assert_array_equal(probabilities(grader.grade(np.dstack([film] * 3))), expected)


@pytest.mark.parametrize("shape", [(0, 0), (0, 50), (50, 0), (1, 100), (100, 1), (50,), (9, 9, 9)])
def test_what_is_no_image_is_an_image_error(grader, shape):
    with pytest.raises(ImageError, match="the image: "):
        grader.grade(np.arange(np.prod(shape)).reshape(shape))


@pytest.mark.timeout(60)
def test_what_a_folder_holds_beside_films_is_named_and_the_rest_graded(grader, film, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    cv2.imwritemulti(str(tmp_path / "pages.tif"), [film, film[::-1]])
    cv2.imwrite(str(tmp_path / "nan.tif"), np.where(film > film.mean(), np.nan, film))
    cv2.imwrite(str(tmp_path / "int32.tif"), np.dstack([film] * 3).astype(np.int32))
    graded = {path.name: knees for path, knees in grader.grade_all(tmp_path)}
    reasons = {name: knees.reason for name, knees in graded.items() if name != "int32.tif"}
    assert reasons == {
        "pipe.png": "not a regular file",
        "pages.tif": "expected one image, but it has several pages or frames",
        "nan.tif": "it holds NaN or infinity",
    }
    np.testing.assert_allclose(
        probabilities(graded["int32.tif"]), probabilities(grader.grade(film)), atol=1e-6
    )


def test_a_name_that_no_file_can_have_is_named_and_the_rest_graded(grader, film):
    (_, refused), (_, knees) = grader.grade_all(["x" * 300 + ".png", film])
    assert isinstance(refused, ImageError) and refused.reason == "File name too long"
    assert len(knees) == 2


def test_a_film_too_large_for_the_memory_is_named_and_the_rest_graded(
    grader, film, tmp_path, monkeypatch
):
    def run_out(*_):
        raise MemoryError

    large = write_dicom(tmp_path / "large.dcm", np.eye(40, dtype=np.uint16))
    monkeypatch.setattr("pydicom.dataset.Dataset.pixel_array", property(run_out))
    (_, first), (_, second) = grader.grade_all([large, film])
    assert first.reason == "not enough memory" and first.temporary and len(second) == 2


def test_a_folder_stands_for_its_model(grader, files, film):
    again = knee_attention.load_grader(files[".h5"].parent)
    np.testing.assert_allclose(probabilities(again.grade(film)), probabilities(grader.grade(film)))


@pytest.mark.parametrize("grey", [0, 255])
def test_a_blank_image_is_not_graded(grader, grey):
    for size in ((320, 224), (200, 400)):
        with pytest.raises(ImageError, match="the image is blank"):
            grader.grade(np.full(size, grey, np.uint8))


def test_an_empty_list_is_no_knees_and_an_empty_folder_is_said(grader, film, tmp_path):
    assert list(grader.grade_all([])) == []
    with pytest.raises(InputError, match="no images in this folder"):
        list(grader.grade_all(tmp_path))
    cv2.imwrite(str(tmp_path / "film.png"), film)
    [(path, knees)] = grader.grade_all(tmp_path)
    assert path == tmp_path / "film.png" and len(knees) == 2


def test_a_model_that_names_an_output_it_lacks_is_refused(model, tmp_path):
    save_model(model, tmp_path / "model.h5", {"chosen": "att9"})
    with pytest.raises(InputError, match="damaged.*att9"):
        knee_attention.load_grader(tmp_path / "model.h5")
    save_model(model, tmp_path / "model.h5", {"cutting": {"size": [96, 96], "zoom": 2}})
    with pytest.raises(InputError, match="unknown options for cutting knees.*zoom"):
        knee_attention.load_grader(tmp_path / "model.h5")
    for strange in ({"fit": "pad"}, {"fit": "pad", "equalization": "gamma"}, "pad", [1, 2]):
        save_model(model, tmp_path / "model.h5", {"preparation": strange})
        with pytest.raises(InputError, match="unknown options for preparing knees"):
            knee_attention.load_grader(tmp_path / "model.h5")


def test_a_negative_is_inverted_and_reported(files, grader, film):
    right, left = grader.grade(~film)
    assert right.inverted and left.inverted
    np.testing.assert_array_equal(probabilities([right, left]), probabilities(grader.grade(film)))
    assert not grader.grade(film)[0].inverted
    as_is = knee_attention.load_grader(files[".h5"], polarity="as-is").grade(~film, "single")
    assert not as_is[0].inverted
    np.testing.assert_array_equal(as_is[0].image, prepare_knee(~film, SIZE))


def test_a_wrong_photometric_interpretation_is_seen_through(grader, film, tmp_path):
    twelve_bits = film.astype(np.uint16) * 16
    write_dicom(tmp_path / "film.dcm", twelve_bits, photometric="MONOCHROME1")
    graded = grader.grade(tmp_path / "film.dcm")
    assert [knee.inverted for knee in graded] == [True, True]
    np.testing.assert_allclose(
        probabilities(graded), probabilities(grader.grade(film)), atol=1e-5
    )
