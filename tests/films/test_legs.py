"""Splitting a film into knees, and the names and sides of the knees."""

import tarfile

import cv2
import numpy as np
import pytest

from knee_attention.data_prep.pairing import read_knee
from knee_attention.errors import ImageError
from knee_attention.films.image_files import read_image, write_image
from knee_attention.films.legs import (
    find_gap,
    id_and_side,
    knee_name,
    side_of,
    split_knees,
    subject_of,
)
from knee_attention.films.network_input import knees_of
from knee_attention.phantoms.film import phantom_film

# Read off the films, in parts of their width and height: the skin of the right and the left leg at
# the height of the knees, and the heights of the joints.
SEEN = {
    "9000099": {"R": ((0.11, 0.42), 0.45), "L": ((0.52, 0.80), 0.475)},
    "9000296": {"R": ((0.10, 0.445), 0.47), "L": ((0.58, 0.935), 0.49)},
}


@pytest.mark.parametrize("name", SEEN)
def test_real_films_are_cut_between_the_legs(name, real_data):
    film = read_image(real_data / "radiographs" / f"{name}.jpg")
    gap = find_gap(film)
    assert SEEN[name]["R"][0][1] < gap / film.shape[1] < SEEN[name]["L"][0][0]
    halves = split_knees(film, "auto")
    for side, half in halves.items():
        (start, stop), joint = SEEN[name][side]
        first = gap - half.shape[1] if side == "R" else gap
        assert first <= start * film.shape[1] and stop * film.shape[1] <= first + half.shape[1]
        assert half.shape[0] == film.shape[0] and 0.2 < joint < 0.8


def displaced_film(seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A phantom film cropped so that the legs lie up to 11% of the width off the middle, with
    another bar between the joints, and with one side collimated, dark or bright."""
    rng = np.random.default_rng(seed)
    phantom = phantom_film(tuple(rng.integers(0, 5, 2).tolist()), seed, height=160)
    image, width = phantom.image.copy(), phantom.image.shape[1]
    right, left = (np.flatnonzero(phantom.masks[side].any(axis=0)) for side in "RL")
    bar = slice(*np.sort(rng.integers(right[-1], left[0], 2)))
    bar = slice(bar.start, min(bar.stop, bar.start + width // 20))
    image[:, bar] = np.maximum(image[:, bar], rng.integers(40, 140))
    middle, wanted = (right.mean() + left.mean()) / 2, 0.5 + rng.uniform(-0.11, 0.11)
    if middle / width < wanted:
        kept = slice(0, max(round(middle / wanted), left[-1] + 2))
    else:
        start = round((middle - wanted * width) / (1 - wanted))
        kept = slice(min(start, right[0] - 2), width)
    border = rng.choice([0, 255])
    if rng.random() < 0.5:
        image[:, : rng.integers(kept.start, right[0] + 1)] = border
    else:
        image[:, rng.integers(left[-1] + 1, kept.stop + 1) :] = border
    return image[:, kept], {side: mask[:, kept] for side, mask in phantom.masks.items()}


def test_joints_stay_whole_on_displaced_phantoms():
    whole = {"auto": 0, "middle": 0}
    for seed in range(60):
        film, masks = displaced_film(seed)
        gap = find_gap(film)
        half = film.shape[1] // 2
        for method, column in (("auto", gap), ("middle", half)):
            if column is not None:
                whole[method] += bool(
                    masks["R"][:, max(0, column - half) : column].sum() == masks["R"].sum()
                    and masks["L"][:, column : column + half].sum() == masks["L"].sum()
                )
    print(f"both joints whole on 60 phantom films: {whole}")
    assert whole["auto"] >= 59


def test_one_leg_is_no_pair():
    for seed in range(12):
        phantom = phantom_film((seed % 5, 2), seed, height=160)
        for knee in split_knees(phantom.image, "auto").values():
            assert find_gap(knee) is None
            with pytest.raises(ValueError, match="a single knee"):
                split_knees(knee, "auto")


@pytest.mark.parametrize(("band", "is_gap"), [(160, False), (120, False), (90, True), (20, True)])
def test_a_shade_within_one_leg_is_no_gap(band, is_gap):
    """Soft tissue beside a joint is darker than bone; air between two legs is much darker."""
    film = np.zeros((100, 200), np.uint8)
    film[:, 20:180] = 200
    film[:, 90:110] = band
    assert (find_gap(film) is not None) == is_gap


@pytest.mark.parametrize("height", [1.0, 1.3, 2.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_film_padded_to_a_square_or_higher_shows_both_knees(seed, height):
    film = phantom_film((seed, 2), seed, height=160).image
    padded = _padded(film, height)
    assert list(knees_of(padded)) == ["R", "L"]
    assert abs(find_gap(padded) - find_gap(film)) < 4
    assert list(knees_of(np.vstack([film, np.zeros_like(film)]))) == ["R", "L"]
    assert [list(knees_of(half)) for half in split_knees(film, "auto").values()] == [[None]] * 2


def _padded(film: np.ndarray, height: float) -> np.ndarray:
    rows = round(height * film.shape[1]) - film.shape[0]
    return np.pad(film, ((rows // 2, rows - rows // 2), (0, 0)))


def test_real_films_and_halves_of_any_shape(real_data):
    for name in SEEN:
        film = read_image(real_data / "radiographs" / f"{name}.jpg")
        for height in (1, 1.2, 2.5):
            assert list(knees_of(_padded(film, height))) == ["R", "L"]
        for half in split_knees(film).values():
            assert list(knees_of(half)) == [None]
    for path in (real_data / "half_films").glob("*.jpg"):
        assert list(knees_of(read_image(path))) == [None]


def test_the_public_crops_of_one_joint_are_single_knees(real_data):
    with tarfile.open(real_data / "kneeKL224" / "validation.tar") as archive:
        files = [archive.extractfile(member).read() for member in archive if member.isfile()]
    images = [cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_GRAYSCALE) for file in files]
    assert len(images) == 826
    assert {side for image in images for side in knees_of(image)} == {None}


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_depth_and_brightness_do_not_matter(dtype):
    film = phantom_film((0, 3), 5, height=160).image
    assert find_gap(film.astype(dtype) * 17 + 40) == find_gap(film)


def test_a_film_without_contrast_has_no_gap():
    assert find_gap(np.full((100, 120), 7, np.uint8)) is None


def test_both_knees_keep_half_the_width_of_a_film_cut_off_its_middle():
    film = cv2.resize(phantom_film((1, 1), 3, height=160).image, (200, 160))[:, 30:]
    knees = split_knees(film, "auto")
    assert {knee.shape for knee in knees.values()} == {(160, 85)}
    column = find_gap(film)
    assert column < 85  # the right knee is narrower and gets a dark border
    np.testing.assert_array_equal(knees["R"][:, 85 - column :], film[:, :column])
    assert (knees["R"][:, : 85 - column] == film.min()).all()
    np.testing.assert_array_equal(knees["L"], film[:, column : column + 85])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9001695_R.png", ("9001695", "R")),
        ("3/9001695-L.webp", ("9001695", "L")),
        ("0/9001695L.png", ("9001695", "L")),
        ("PAT00_film_L.png", ("PAT00_film", "L")),
        ("KNEE-A_R.png", ("KNEE-A", "R")),
        ("9001695_20040101-2_R.png", ("9001695_20040101-2", "R")),
        ("ä_L", ("ä", "L")),
        ("FINAL.png", ("FINAL", None)),
        ("case-12.png", ("case-12", None)),
        ("LATERAL_9.png", ("LATERAL_9", None)),
        ("_R.png", ("_R", None)),
        ("R.png", ("R", None)),
        ("9001695_l.png", ("9001695_l", None)),
        ("A.5_R", ("A.5", "R")),
        ("A.5_L.JP2", ("A.5", "L")),
        ("1.2.3.45", ("1.2.3.45", None)),
    ],
)
def test_the_grammar(name, expected, tmp_path):
    film, side = expected
    assert id_and_side(name) == expected
    assert side_of(name) == side and subject_of(name) == film
    path = tmp_path / f"{knee_name(film, side) if side else film}.png"
    write_image(path, np.eye(20, dtype=np.uint8))
    if side is None:
        with pytest.raises(ImageError, match="does not end in _R or _L"):
            read_knee(path)
    else:
        [row] = read_knee(path)
        assert (row["id"], row["side"]) == expected
