import os
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import ImageError, InputError
from knee_attention.films import polarity
from knee_attention.films.legs import split_knees
from knee_attention.films.localiser import SCALES
from knee_attention.films.polarity import bone_bright, is_negative, is_negative_knee, negative
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import prepare_knee
from knee_attention.phantoms.film import phantom_film


def views(film):
    """A film and its two knees, in 8 and 16 bits."""
    for image in (film, *split_knees(film, "auto").values()):
        yield image
        yield image.astype(np.uint16) * 16


def test_phantoms_and_their_negatives_are_told_apart():
    for seed in range(0, 25, 4):
        for image in views(phantom_film((seed % 5, seed // 5 % 5), seed).image):
            assert not is_negative(image), seed
            assert is_negative(negative(image)), seed


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.float32, np.float64])
def test_a_negative_comes_back_as_what_it_was(dtype):
    film = (phantom_film((2, 3), 7, 256).image // 2).astype(dtype)
    turned, was_negative = bone_bright(negative(film))
    assert was_negative and turned.dtype == dtype
    np.testing.assert_allclose(turned, film, rtol=1e-5)
    same, was_negative = bone_bright(film)
    assert same is film and not was_negative


def test_colour_and_borders_do_not_decide():
    film = phantom_film((1, 0), 3, 256).image
    for border in (0, 255):
        framed = cv2.copyMakeBorder(film, 30, 30, 40, 40, cv2.BORDER_CONSTANT, value=border)
        assert not is_negative(framed)
        assert is_negative(negative(framed))
    assert is_negative(cv2.cvtColor(negative(film), cv2.COLOR_GRAY2BGR))
    assert not is_negative(np.zeros((40, 30), np.uint8))


def knees_on_disk(root: Path, turned: set[str]) -> Path:
    """A data folder with forty prepared phantom knees; those named in `turned` are negatives."""
    for number in range(20):
        film = phantom_film((number % 5, (number + 1) % 5), number, 256)
        for side, knee in split_knees(film.image, "auto").items():
            split = "train" if number < 10 else "validation"
            name = f"{split}/{film.grades[side]}/{number}{side}.png"
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = prepare_knee(knee, (64, 64), equalization="none")
            cv2.imwrite(os.fspath(path), negative(image) if name in turned else image)
    return root


@pytest.mark.parametrize(("large", "small", "negative_"), [
    ((0.9, 0.2), (0.1, 0.95), False), ((0.2, 0.9), (0.95, 0.1), True),
    ((0.2, 0.3), (0.8, 0.4), False), ((0.3, 0.2), (0.4, 0.8), True),
])  # fmt: skip
def test_the_first_scale_that_sees_a_joint_decides(monkeypatch, large, small, negative_):
    """The sides of a ramp are as bright as its middle. The scores are those of the image and of its
    negative, at the larger and at the smaller scale."""
    scores = dict(zip(SCALES, (large, small), strict=True))

    class StandIn:
        def highest_score(self, film, reach):
            return scores[reach][int(film[0, 0] > film[0, -1])]

    monkeypatch.setattr(polarity, "shipped_localiser", StandIn)
    assert is_negative(np.tile(np.arange(100, dtype=np.uint8), (100, 1))) is negative_


def test_a_folder_with_negatives_reads_as_its_mended_copy(tmp_path):
    turned = {"train/0/0R.png", "train/1/0L.png", "validation/1/11R.png"}
    mixed = load_dataset(knees_on_disk(tmp_path / "mixed", turned), (32, 32))
    mended = load_dataset(knees_on_disk(tmp_path / "mended", set()), (32, 32))
    for split in ("train", "validation"):
        assert np.array_equal(mixed.splits[split].images, mended.splits[split].images)
        assert mended.splits[split].inverted == []
    assert {file for knees in mixed.splits.values() for file in knees.inverted} == turned
    as_is = load_dataset(tmp_path / "mixed", (32, 32), polarity="as-is")
    assert as_is.splits["train"].inverted == []
    assert not np.array_equal(as_is.splits["train"].images, mended.splits["train"].images)


def test_a_refused_negative_is_said_to_be_inverted(tmp_path, monkeypatch):
    """Both when a film is cut and when knees are read."""
    film = phantom_film((1, 3), 5, 256).image
    half = film[:, : film.shape[1] // 2]
    inverted = {}
    for name, image in (("1R.png", half), ("2R.png", ~half)):
        cv2.imwrite(str(tmp_path / name), image)
        with pytest.raises(ImageError, match="single knee or none") as refused:
            Cutter(tmp_path)(tmp_path / name)
        inverted[name] = "inverted first" in refused.value.reason
    assert inverted == {"1R.png": False, "2R.png": True}

    def refuse(*_):
        raise ValueError("no knee")

    monkeypatch.setattr(Preparation, "knee", refuse)
    (tmp_path / "train" / "0").mkdir(parents=True)
    for name in inverted:
        (tmp_path / name).rename(tmp_path / "train" / "0" / name)
    with pytest.raises(InputError, match=r"first error: no knee\)"):
        load_dataset(tmp_path, (96, 96), wanted=("train",))
    (tmp_path / "train" / "0" / "1R.png").unlink()
    with pytest.raises(InputError, match=r"first error: no knee \(it is a photographic negative"):
        load_dataset(tmp_path, (96, 96), wanted=("train",))


def test_real_films_their_halves_and_their_negatives(real_data):
    films = sorted((real_data / "radiographs").glob("*.jpg"))
    halves = sorted((real_data / "half_films").glob("*.jpg"))
    images = [cv2.imread(os.fspath(path), cv2.IMREAD_GRAYSCALE) for path in films + halves]
    cut = [knee for film in images[:2] for way in ("auto", "middle")
           for knee in split_knees(film, way).values()]  # fmt: skip
    assert len(images) == 5
    for image in images + cut:
        assert not is_negative(image)
        assert is_negative(negative(image))


def test_exactly_the_known_negatives_of_the_public_validation_split(real_data):
    folder = real_data / "kneeKL224"
    known = (folder / "inverted.txt").read_text().split()
    found, count = [], 0
    with tarfile.open(folder / "validation.tar") as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            pixels = np.frombuffer(archive.extractfile(member).read(), np.uint8)
            count += 1
            if is_negative_knee(cv2.imdecode(pixels, cv2.IMREAD_GRAYSCALE)):
                found.append(member.name)
    assert count == 826
    assert sorted(found) == sorted(name for name in known if name.startswith("validation"))


@pytest.mark.parametrize("shape", [(40, 1500), (1500, 40), (16, 20000)])
def test_an_image_too_narrow_for_the_localiser_is_judged_by_its_ranks(shape):
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    difference = polarity.rank_difference(noise)
    assert abs(difference) < polarity.CLEAR
    assert is_negative(noise) == (difference < 0)
