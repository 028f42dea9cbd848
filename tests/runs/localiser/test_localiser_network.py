"""The localiser's networks, and the scenes that they learn: size, loss, targets, ONNX file."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from knee_attention.films.joints import box_around, box_of_square, jaccard
from knee_attention.films.localiser import Localiser
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser import scenes
from knee_attention.runs.localiser.distractors import (
    DISTRACTORS,
    draw_distractor,
    paint_implant,
    paint_marker,
)
from knee_attention.runs.localiser.films import KnownFilm, LocaliserImages, phantom_films
from knee_attention.runs.localiser.network import (
    TARGETS,
    build_antony_localiser,
    build_localiser,
    convolution_weights,
    localiser_loss,
)
from knee_attention.runs.localiser.scenes import KINDS, scene_of, transplanted
from knee_attention.runs.localiser.variation import varied
from knee_attention.runs.localiser.views import LocaliserViews, targets_of, view_of


def with_other_statistics(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([
                rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.3, beta.shape),
                rng.normal(0, 0.3, mean.shape), rng.uniform(0.5, 1.5, variance.shape),
            ])  # fmt: skip
    return model


def test_antony_s_convolutions_have_the_weights_of_the_paper():
    model = build_antony_localiser("float32")
    assert convolution_weights(model) == 212_769
    assert model.output_shape == (None, 256, 256, 1)


def test_the_shipped_network_is_small():
    model = build_localiser("float32")
    assert convolution_weights(model) == 234_149
    assert model.output_shape == (None, 32, 32, 5)


def test_opencv_says_what_keras_says(tmp_path):
    pytest.importorskip("onnx")
    from knee_attention.runs.localiser.network import export_localiser

    keras.utils.set_random_seed(0)
    model = with_other_statistics(build_localiser("float32"))
    export_localiser(model, tmp_path / "localiser.onnx")
    assert (tmp_path / "localiser.onnx").stat().st_size < 1_000_000
    film = np.random.default_rng(1).integers(0, 256, (256, 256, 2)).astype(np.uint8)
    expected = np.asarray(model(film[np.newaxis].astype(np.float32)))[0]
    found = Localiser(tmp_path / "localiser.onnx").maps(film)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def targets(**values):
    found = np.zeros((1, 2, 2, len(TARGETS)), np.float32)
    for name, value in values.items():
        found[..., TARGETS.index(name)] = value
    return found


def loss(maps, **values):
    return float(localiser_loss(targets(**values), np.asarray(maps, np.float32)[np.newaxis])[0])


def test_the_loss_of_joints_by_hand():
    joint = [[1, 0.5], [0, 0]]
    maps = np.zeros((2, 2, 5))  # all probabilities of a joint are 0.5
    maps[..., 4] = -30
    expected = np.log(2) / 4 * (1 + 0.5**4 + 1 + 1)
    assert loss(maps, joint=joint, counts=1) == pytest.approx(expected, rel=1e-5)
    ignored = [[1, 1], [0, 0]]
    expected = np.log(2) / 4 * (1 + 0.5**4)
    assert loss(maps, joint=joint, counts=ignored) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_boxes_counts_near_a_joint_alone():
    maps = np.zeros((2, 2, 5))
    maps[..., 0] = [[30, -30], [-30, -30]]  # the right cell, with high confidence
    maps[..., 1:4], maps[..., 4] = 0.5, -30
    truth = {"joint": [[1, 0], [0, 0]], "counts": 1, "right": 0.25, "down": 0.5, "side": 1.0}
    assert loss(maps, **truth) == pytest.approx(4 * 0.25 + 2 * 0.5, rel=1e-5)


def test_the_loss_of_implants_by_hand():
    maps = np.zeros((2, 2, 5))
    maps[..., 0], maps[..., 4] = -30, [[3, -3], [-3, -3]]
    right = np.log1p(np.exp(-3))  # the loss of a right cell with a confidence of 95%
    where = loss(maps, implant=[[1, 0], [0, 0]], implant_counts=1, counts=1, implanted=1)
    assert where == pytest.approx(4 * right / 8 + right, rel=1e-4)
    assert loss(maps, implanted=1) == pytest.approx(right, rel=1e-4)
    assert loss(maps, implanted=0) == pytest.approx(3 + right, rel=1e-4)


@pytest.fixture(scope="module")
def films():
    phantoms = phantom_films(3, "train", 0)
    other = draw_distractor("chest", (200, 180), np.random.default_rng(0))
    x, y, side, _ = map(round, phantoms[0].boxes[0])
    crop = phantoms[0].image[y : y + side, x : x + side]
    square = (0.0, 0.0, float(crop.shape[1]), float(crop.shape[1]))
    crops = [KnownFilm(crop, "crop", [box_of_square(square)])]
    return LocaliserImages(phantoms, phantoms, crops, [other], [other])


def drawn(films, kind, count, monkeypatch):
    monkeypatch.setattr(scenes, "KINDS", {kind: 1.0})
    rng = np.random.default_rng(3)
    return [scene_of(films, rng) for _ in range(count)]


@pytest.mark.parametrize("kind", ["film", "near", "crop", "beside"])
def test_a_scene_of_a_knee_shows_where_its_joint_lies(films, kind, monkeypatch):
    found = drawn(films, kind, 12, monkeypatch)
    assert sum(len(scene.joints) > 0 for scene in found) >= 9
    for scene in found:
        assert scene.image.dtype == np.uint8
        height, width = scene.image.shape
        for x, y, side, _ in scene.joints:
            assert 0 < x + side / 2 < width and 0 < y + side / 2 < height


@pytest.mark.parametrize("kind", ["turned", "negative", "distractor"])
def test_a_scene_without_an_upright_knee_has_no_joint(films, kind, monkeypatch):
    assert not any(scene.joints for scene in drawn(films, kind, 12, monkeypatch))


def test_a_real_implant_lies_nobody_knows_where(films, monkeypatch):
    for scene in drawn(films, "implant", 3, monkeypatch):
        targets = view_of(scene, np.random.default_rng(1))[1]
        assert scene.implant_somewhere and targets[..., 7].all()
        assert not targets[..., 1].any() and not targets[..., 6].any()


def test_without_implants_none_are_shown(films, monkeypatch):
    monkeypatch.setattr(scenes, "KINDS", {"implant": 0.99, "film": 0.01})
    alone = replace(films, implants=[])
    rng = np.random.default_rng(0)
    assert not any(scene_of(alone, rng).implant_somewhere for _ in range(5))


def test_a_box_comes_to_lie_where_the_scene_shows_it(monkeypatch):
    """A film that is bright only inside its joint boxes gives scenes with bright boxes."""
    monkeypatch.setattr(scenes, "IMPLANTED", 0)
    monkeypatch.setattr(scenes, "MARKED", 0)
    image, boxes = np.full((500, 600), 60, np.uint8), [(60, 150, 170, 170), (380, 170, 170, 170)]
    for x, y, width, height in boxes:
        image[y : y + height, x : x + width] = 250
    films = LocaliserImages([KnownFilm(image, "bright", boxes)])
    for kind in ("film", "near"):
        for scene in drawn(films, kind, 10, monkeypatch):
            bright = scene.image > 155
            told = np.zeros_like(bright)
            for x, y, width, height in [*scene.joints, *scene.ignored]:
                told[max(0, round(y)) : round(y + height), max(0, round(x)) : round(x + width)] = 1
            if scene.joints:
                assert (bright & told).sum() / (bright | told).sum() > 0.7, kind


def test_a_film_gets_other_joints_at_the_same_places(films):
    film = films.phantoms[1]
    white = KnownFilm(np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1)), "ramp",
                         [box_of_square((0.0, 0.0, 100.0, 100.0))])
    changed = transplanted(film, [white], np.random.default_rng(0))
    assert changed.boxes == film.boxes
    different = np.argwhere(changed.image != film.image)
    for y, x in different[::500]:
        assert any(left <= x <= left + side and top <= y <= top + side
                   for left, top, side, _ in film.boxes)
    assert len(different) > 1000


def test_targets_by_hand():
    targets = targets_of([(68.0, 68.0, 64.0, 64.0)], implants=[(80, 80, 16, 16)])
    assert targets[12, 12, 0] == 1 and targets[12, 12, 2:5] == pytest.approx(0)
    assert 0 < targets[12, 13, 0] < 1
    assert targets[12, 13, 2:5] == pytest.approx([-8 / 64, 0, 0])
    assert targets[20, 20, 0] < 1e-6 and (targets[..., 1] == 1).all()
    assert targets[10:12, 10:12, 5].all() and targets[..., 5].sum() == 4
    assert targets[9, 9, 6] == 0 and targets[0, 0, 6] == 1 and targets[..., 7].all()
    empty = targets_of([], ignored=[(0.0, 0.0, 64.0, 64.0)])
    assert not empty[:8, :8, 1].any() and empty[8:, 8:, 1].all() and not empty[..., 7].any()


def test_the_view_s_targets_lie_on_its_joints(films, monkeypatch):
    for scene in drawn(films, "film", 5, monkeypatch):
        targets = view_of(scene, np.random.default_rng(0))[1]
        for row, column in np.argwhere(targets[..., 0] == 1):
            side = 64 * np.exp(targets[row, column, 4])
            x, y = (column + 0.5) * 8, (row + 0.5) * 8
            box = (x + side * targets[row, column, 2] - side / 2,
                   y + side * targets[row, column, 3] - side / 2, side, side)
            scale = 256 / (scene.reach * max(scene.image.shape))
            border = [(256 - round(size * scale)) // 2 for size in scene.image.shape[::-1]]
            placed = [(b[0] * scale + border[0], b[1] * scale + border[1], b[2] * scale,
                       b[3] * scale) for b in scene.joints]
            assert max(jaccard(box, other) for other in placed) > 0.95


def test_batches_follow_from_seed_and_number(films):
    views = LocaliserViews(films, 3, seed=1)
    whole, rest = list(views.batches(0, 4)), list(views.batches(2, 4))
    for (images, targets), (again, targets_again) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(targets, targets_again)
    assert whole[0][0].shape == (3, 256, 256, 2) and whole[0][1].shape == (3, 32, 32, 8)
    assert sum(KINDS.values()) == pytest.approx(1)


def test_variation_follows_from_the_seed_and_changes_much():
    film = phantom_film((0, 3), seed=1, height=200).image
    first, again, other = (varied(film, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == film.shape and first.dtype == np.uint8
    assert (first != other).mean() > 0.5
    np.testing.assert_array_equal(film, phantom_film((0, 3), seed=1, height=200).image)


@pytest.mark.parametrize("shape", [(24, 200), (256, 40)])
def test_narrow_parts_are_varied_too(shape):
    film = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for seed in range(20):
        assert varied(film, np.random.default_rng(seed)).shape == shape


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_distractors_are_images(kind):
    drawn = [draw_distractor(kind, (200, 160), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert drawn[0].shape == (200, 160) and np.ptp(drawn[0]) > 200


@pytest.fixture(scope="module")
def phantom_and_boxes():
    phantom = phantom_film((1, 1), seed=9031)
    return phantom.image, {side: box_around(box) for side, box in phantom.boxes.items()}


def test_an_implant_lies_over_its_joint_and_is_brighter_than_bone(phantom_and_boxes):
    image, boxes = phantom_and_boxes
    for seed in range(20):
        painted, (left, top, width, height) = paint_implant(
            image, boxes["R"], np.random.default_rng(seed)
        )
        assert painted.dtype == np.uint8 and painted.shape == image.shape
        changed = np.argwhere(np.abs(painted.astype(int) - image) > 30)
        assert len(changed)
        rows, columns = changed[:, 0], changed[:, 1]
        assert left - 3 <= columns.min() and columns.max() <= left + width + 3
        assert top - 3 <= rows.min() and rows.max() <= top + height + 3
        assert jaccard((left, top, width, height), boxes["R"]) > 0.02
        assert jaccard((left, top, width, height), boxes["L"]) == 0


def test_markers_leave_the_joints_alone(phantom_and_boxes):
    image, boxes = phantom_and_boxes
    changed = 0
    for seed in range(20):
        painted = paint_marker(image, list(boxes.values()), np.random.default_rng(seed))
        changed += (painted != image).any()
        for x, y, width, height in boxes.values():
            inside = slice(int(y) + 4, int(y + height) - 4), slice(int(x) + 4, int(x + width) - 4)
            np.testing.assert_array_equal(painted[inside], image[inside])
    assert changed > 15
