"""Preparation of films, halves and knees, and comparison of two preparations."""

import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.films.cutting import Cutting
from knee_attention.films.preparation import Preparation, refuse_differences
from knee_attention.films.radiograph import prepare_knee

SIZE = (64, 48)
PAD = Cutting("middle", (80, 56), "pad", "none", flip_left=True)
KNEE = np.random.default_rng(0).integers(0, 255, (80, 56), dtype=np.uint8)


def test_a_preparation_is_read_as_it_was_described():
    for preparation in (Preparation(), Preparation(PAD, "pad", "clahe"), Preparation(Cutting()),
                        Preparation(crop="square"), Preparation(Cutting(crop="antony")),
                        Preparation(crop="square", displaced=True)):
        assert Preparation.recorded(preparation.described(), "a model") == preparation
    assert Preparation.recorded({"name": "old"}, "a model") == Preparation()


def test_half_a_film_is_cut_whatever_its_size_and_a_knee_of_the_set_s_size_is_not():
    preparation = Preparation(PAD)
    knee = preparation.knee(KNEE, SIZE)
    np.testing.assert_array_equal(knee, prepare_knee(KNEE, SIZE))
    np.testing.assert_array_equal(preparation.single(KNEE, "L", SIZE), knee)
    mirrored = preparation.half(KNEE, "L", SIZE)
    np.testing.assert_array_equal(mirrored, prepare_knee(KNEE[:, ::-1], SIZE))
    larger = np.pad(KNEE, 8)
    np.testing.assert_array_equal(
        preparation.single(larger, "L", SIZE), preparation.half(larger, "L", SIZE)
    )
    with pytest.raises(ValueError, match="the side of this knee is unknown"):
        preparation.half(KNEE, None, SIZE)


@pytest.mark.parametrize(
    ("first", "second", "differences"),
    [
        (Preparation(), Preparation(PAD), []),
        (Preparation(Cutting()), Preparation(Cutting()), []),
        (Preparation(Cutting()), Preparation(Cutting(size=(640, 448))), []),
        (Preparation(Cutting(fit="pad")), Preparation(Cutting(size=(64, 64), fit="pad")),
         ["size (320, 224), not (64, 64)"]),
        (Preparation(Cutting()), Preparation(Cutting(fit="pad")), ["fit stretch, not pad"]),
        (Preparation(Cutting(flip_left=True)), Preparation(Cutting("middle")),
         ["split auto, not middle", "flip_left True, not False"]),
        (Preparation(), Preparation(equalization="none"), ["equalization hist, not none"]),
        (Preparation(Cutting()), Preparation(Cutting(crop="square")), ["crop half, not square"]),
        (Preparation(Cutting()), Preparation(crop="square"), ["crop half, not square"]),
        (Preparation(), Preparation(crop="square"), []),
        (Preparation(), Preparation(crop="square", displaced=True),
         ["displaced False, not True"]),
    ],
)
def test_known_preparations_that_disagree_are_refused(first, second, differences):
    assert first.differences(second) == differences
    named = [("a", first), ("unknown", Preparation(equalization=first.equalization)), ("b", second)]
    if not differences:
        refuse_differences(named)
    else:
        with pytest.raises(InputError, match="prepared differently from those of") as said:
            refuse_differences(named)
        assert all(difference in str(said.value) for difference in differences)


def test_an_unknown_way_is_refused():
    for unknown in ({"fit": "crop"}, {"equalization": "gamma"}):
        with pytest.raises(InputError, match="expected a fit of stretch, pad"):
            Preparation(**unknown)


def test_what_knees_show_is_known_by_the_cutting_else_by_what_is_said():
    assert not Preparation().shows_joints and Preparation().known_crop is None
    assert Preparation(crop="square").shows_joints and not Preparation(crop="half").shows_joints
    assert Preparation(Cutting(crop="antony")).known_crop == "antony"
    assert Preparation().with_crop("auto") == Preparation()
    assert Preparation().with_crop("square") == Preparation(crop="square")
    assert Preparation(Cutting()).with_crop("half").known_crop == "half"
    for known in (Preparation(Cutting()), Preparation(crop="half")):
        with pytest.raises(InputError, match="cannot be square crops of joints"):
            known.with_crop("square")
    with pytest.raises(InputError, match="expected a crop of half, square, antony"):
        Preparation(crop="round")
