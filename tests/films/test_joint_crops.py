"""Crops of joints: what is cut out, of what, and what is refused."""

import numpy as np
import pytest

from knee_attention.films.joint_crops import crop_of, joint_crops, resized
from knee_attention.films.joints import Joint, box_around, jaccard
from knee_attention.films.localiser import Localiser, shipped_localiser
from knee_attention.films.radiograph import cut_out, resize_knee
from knee_attention.phantoms.film import phantom_film
from knee_attention.phantoms.strangers import stranger


@pytest.fixture(scope="module")
def phantom():
    return phantom_film((1, 3), seed=9005)


def test_the_square_crop_has_the_box_s_middle():
    left, top, width, height = crop_of((100, 50, 200, 200), "square")
    assert (width, height) == (184, 184)
    assert (left + width / 2, top + height / 2) == (200, 150)


def test_antony_s_crop_is_wider_than_high_about_the_joint_line():
    assert crop_of((100, 50, 300, 300), "antony") == (100, 127, 300, 200)
    with pytest.raises(ValueError, match="expected an aspect"):
        crop_of((0, 0, 9, 9), "round")


def test_what_lies_beyond_the_film_is_its_darkest_grey():
    film = np.arange(12, dtype=np.uint16).reshape(3, 4) + 7
    np.testing.assert_array_equal(cut_out(film, (1, 1, 2, 2)), film[1:3, 1:3])
    cut = cut_out(film, (-1, 2, 3, 2))
    np.testing.assert_array_equal(cut, [[7, 15, 16], [7, 7, 7]])
    assert cut.dtype == np.uint16
    assert (cut_out(film, (90, 90, 2, 2)) == 7).all()


@pytest.mark.parametrize("aspect", ["square", "antony"])
def test_a_film_gives_the_crops_of_both_knees(phantom, aspect):
    crops = joint_crops(phantom.image, aspect=aspect)
    assert [crop.side for crop in crops] == ["R", "L"]
    for crop in crops:
        true = crop_of(box_around(phantom.boxes[crop.side]), aspect)
        assert jaccard(crop.box, true) > 0.75
        np.testing.assert_array_equal(crop.image, cut_out(phantom.image, crop.box))


def test_both_knees_of_a_film_are_cut_at_one_size(phantom):
    right, left = joint_crops(phantom.image)
    assert right.box[2:] == left.box[2:]


def test_a_second_look_is_taken_only_if_it_shows_the_same_joint(phantom, monkeypatch):
    class Localiser:
        """Its second looks find something small in the corner of what they are shown."""

        def joints(self, image, most=2):
            if image.shape != phantom.image.shape:
                return [Joint((0, 0, 20, 20), 0.99)]
            return shipped_localiser().joints(image, most)

    monkeypatch.setattr("knee_attention.films.joint_crops.shipped_localiser", Localiser)
    first = shipped_localiser().joints(phantom.image)
    largest = max(joint.box[2] for joint in first)
    for crop, joint in zip(joint_crops(phantom.image), first, strict=True):
        assert crop.joint.box == pytest.approx(resized(joint.box, largest / joint.box[2]))


def test_half_a_film_gives_one_crop_and_a_crop_itself(phantom):
    half = phantom.image[:, : phantom.image.shape[1] // 2]
    [crop] = joint_crops(half)
    assert crop.side is None and crop.box[2] < half.shape[1]
    [again] = joint_crops(crop.image)
    assert again.box is None and again.joint is None
    np.testing.assert_array_equal(again.image, crop.image)


def test_colours_and_16_bits_are_read(phantom):
    colour = np.repeat(phantom.image[..., np.newaxis].astype(np.uint16) * 257, 3, axis=2)
    boxes = [crop.box for crop in joint_crops(colour)]
    assert boxes == [crop.box for crop in joint_crops(phantom.image)]


def test_what_is_no_knee_is_refused_with_score_and_threshold():
    chest = stranger("chest", (300, 280), np.random.default_rng(1))
    with pytest.raises(ValueError, match=r"no knee joint found \(score 0\.\d\d, the threshold is"):
        joint_crops(chest)


def test_one_leg_is_no_film_of_two_knees(phantom):
    half = phantom.image[:, : phantom.image.shape[1] // 2]
    with pytest.raises(ValueError, match="a single knee joint, where two are expected"):
        joint_crops(half, view="bilateral")


@pytest.mark.parametrize(
    ("quarters", "said"),
    [(1, "turned by 90 degrees anticlockwise"), (3, "turned by 90 degrees clockwise"),
     (2, "turned upside down")],
)  # fmt: skip
def test_a_turned_film_is_said_to_be_turned(phantom, quarters, said):
    with pytest.raises(ValueError, match=said):
        joint_crops(np.rot90(phantom.image, quarters))


def test_a_small_square_with_a_joint_is_a_crop_whatever_it_looks_like_from_nearby(monkeypatch):
    """As the public sets' crops of severe osteoarthritis, in which the near look finds specks."""
    phantom = phantom_film((4, 0), seed=9011)
    [right, _] = joint_crops(phantom.image)
    monkeypatch.setattr(Localiser, "joints", lambda *_: [])
    for side in (224, 299):
        [crop] = joint_crops(resize_knee(right.image, (side, side)))
        assert crop.box is None and crop.image.shape == (side, side)
    with pytest.raises(ValueError, match="no knee joint found"):
        joint_crops(resize_knee(right.image, (400, 400)))
    for kind in ("chest", "hand"):
        with pytest.raises(ValueError, match="no knee joint found"):
            joint_crops(stranger(kind, (224, 224), np.random.default_rng(3)))


def test_what_is_said_to_be_a_crop_is_taken_as_it_is():
    image = stranger("shapes", (500, 400), np.random.default_rng(3))
    [crop] = joint_crops(image, "crop")
    assert crop.box is None and crop.image is image
