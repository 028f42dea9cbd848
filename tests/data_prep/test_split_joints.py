"""`split_knees.py --crop joint`: its output, and the films that it excludes."""

import cv2
import numpy as np
import pytest
from films_on_disk import account_of, read_rows, write_films

from knee_attention.films.cutting import Cutting
from knee_attention.films.image_files import read_image
from knee_attention.films.joint_crops import THRESHOLD
from knee_attention.films.radiograph import cut_out, prepare_knee
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.localiser.distractors import draw_distractor


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops") / "films"
    write_films(folder, 2, height=400)
    return folder


@pytest.mark.parametrize(
    ("options", "size", "aspect"),
    [([], (224, 224), "square"), (["--aspect", "antony"], (200, 300), "antony"),
     (["--size", "96", "80"], (96, 80), "square")],
)  # fmt: skip
def test_crops_are_what_the_table_says(films, tmp_path, run, options, size, aspect):
    out, sheet = tmp_path / "knees", tmp_path / "sheet.png"
    asked = ("--crop", "joint", "--contact-sheet", sheet, *options)
    code, printed = run("split_knees", films, out, *asked)
    assert code == 0 and account_of(printed) == (2, 2, 0)
    assert Cutting.read(out) == Cutting(size=size, crop=aspect)
    rows = read_rows(out / "knees.csv")
    assert [(row["id"], row["side"]) for row in rows] == [
        ("S000", "R"), ("S000", "L"), ("S001", "R"), ("S001", "L")
    ]  # fmt: skip
    for row in rows:
        box = tuple(int(row[name]) for name in ("x", "y", "width", "height"))
        crop = cut_out(read_image(films / f"{row['id']}.png"), box)
        np.testing.assert_array_equal(read_image(out / row["file"]), prepare_knee(crop, size))
        assert 0.5 <= float(row["score"]) <= 1
    assert sheet.exists()


def test_a_film_whose_joints_are_not_found_is_left_out_with_the_reason(films, tmp_path, run):
    folder = tmp_path / "films"
    folder.mkdir()
    film = phantom_film((1, 3), 9021, height=400).image
    rng = np.random.default_rng(6)
    images = {
        "good": film, "negative": ~film, "one_leg": film[:, : film.shape[1] // 2],
        "turned": np.rot90(film), "chest": draw_distractor("chest", (300, 280), rng),
        "hand": draw_distractor("hand", (300, 280), rng), "blank": np.full_like(film, 9),
    }  # fmt: skip
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
    code, printed = run("split_knees", folder, tmp_path / "knees", "--crop", "joint")
    assert code == 0 and account_of(printed) == (7, 2, 5)
    assert "photographic negatives inverted: 1" in printed
    rows = read_rows(tmp_path / "knees" / "excluded.csv")
    reasons = {row["source"].rpartition("/")[2]: row["reason"] for row in rows}
    assert "expected two knee joints, found one (score" in reasons["one_leg.png"]
    assert "the film seems to be rotated by 90 degrees anticlockwise" in reasons["turned.png"]
    for name in ("chest.png", "hand.png"):
        assert reasons[name].startswith("no knee joint found (score 0.")
        assert f"the threshold is {THRESHOLD:.2f}" in reasons[name]
    assert reasons["blank.png"] == "the image is blank"
    assert "      3  no knee joint found" in printed
    boxes = {row["id"]: row["x"] for row in read_rows(tmp_path / "knees" / "knees.csv")}
    assert boxes["good"] == boxes["negative"]


def test_crops_and_halves_do_not_mix(films, tmp_path, run, monkeypatch):
    out = tmp_path / "knees"
    assert run("split_knees", films, out)[0] == 0
    code, printed = run("split_knees", films, out, "--crop", "joint")
    assert code == 2 and "made with other options (crop, localiser, size" in printed
    code, printed = run("split_knees", films, tmp_path / "other", "--aspect", "square")
    assert code == 2 and "--aspect needs --crop joint" in printed
    joint = ("--crop", "joint")
    code, printed = run("split_knees", films, tmp_path / "other", *joint, "--split", "middle")
    assert code == 2 and "--split cannot be combined with --crop joint" in printed
    run("split_knees", films, tmp_path / "crops", *joint)
    monkeypatch.setattr("knee_attention.films.localiser.fingerprint", lambda: "another")
    code, printed = run("split_knees", films, tmp_path / "crops", *joint)
    assert code == 2 and "was made with other options (localiser" in printed
