"""Training knees from films: crops of joints, and equal knees when grading."""

import cv2
import numpy as np
import pytest
from stand_ins import SIZE, Uniform, read_rows, summary_counts, write_films

from knee_attention import load_grader
from knee_attention.commands.cli import main as knee_attention
from knee_attention.commands.scripts.experiment import main
from knee_attention.data_prep.film_to_knees import Cutter
from knee_attention.datasets.dataset import load_dataset
from knee_attention.errors import ImageError
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.films.image_files import read_image, write_image
from knee_attention.films.joint_crops import THRESHOLD
from knee_attention.films.legs import id_and_side
from knee_attention.films.preparation import Preparation
from knee_attention.films.radiograph import cut_out, prepare_knee
from knee_attention.grading.grader import Grader
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.localiser.distractors import draw_distractor

trains = pytest.mark.usefixtures("eager", "blank_figures")

SMALL = Experiment("antony_clsf", ("att1",), "single")
QUICK = "--image-size 96 96 --batch-size 16 --epochs 1 --precision float32".split()


@trains
@pytest.mark.parametrize(
    ("options", "cutting", "name"),
    [
        ("--fit pad", Cutting(fit="pad"), "set"),
        ("--flip-left --size 160 96", Cutting(size=(160, 96), flip_left=True), "set.h5"),
    ],
)
def test_graded_and_learnt_pixels_are_the_same(tmp_path, run, options, cutting, name):
    table = write_films(tmp_path / "films", 12)
    assert run("split_knees", tmp_path / "films", tmp_path / "knees", *options.split())[0] == 0
    arguments = (tmp_path / "knees", table, tmp_path / "set", "--h5", tmp_path / "set.h5")
    assert run("make_dataset", *arguments)[0] == 0
    data, output = str(tmp_path / name), str(tmp_path / "run")
    main(SMALL, ["--data", data, "--output", output, *QUICK])

    dataset = load_dataset(data, SIZE)
    learnt = {}
    for knees in dataset.splits.values():
        images = knees.images[np.arange(len(knees))]
        learnt.update(zip(map(id_and_side, knees.files), images, strict=True))
    grader = load_grader(tmp_path / "run")
    assert grader.preparation == dataset.preparation and dataset.preparation.cutting == cutting
    assert len(learnt) == 24
    for film in sorted((tmp_path / "films").iterdir()):
        for knee in grader.grade(film):
            np.testing.assert_array_equal(knee.image, learnt.pop((film.stem, knee.side)))
    assert not learnt


@trains
def test_a_phantom_film_is_graded_on_the_pixels_of_the_phantom_data_set(monkeypatch):
    films = {}

    def kept(grades, seed):
        films[grades] = phantom_film(grades, seed)
        return films[grades]

    monkeypatch.setattr("knee_attention.phantoms.dataset.phantom_film", kept)
    dataset = phantom_dataset(SIZE, limit=4, seed=4, wanted=("test",))
    knees, grader = dataset.splits["test"], Grader(Uniform(dataset.preparation))
    for position in (0, 2):
        pair = slice(position, position + 2)
        film = films[tuple(map(int, knees.grades[pair]))]
        for knee, learnt in zip(grader.grade(film.image), knees.images[pair], strict=True):
            np.testing.assert_array_equal(knee.image, learnt)


@trains
def test_models_and_sets_of_other_knees_are_not_measured_together(knee_folder, tmp_path, capsys):
    model = build_model("antony_clsf", ("att1",), "single", SIZE)
    cuttings = {"stretched": Cutting(), "padded": Cutting(fit="pad")}
    for name, cutting in cuttings.items():
        save_model(model, tmp_path / f"{name}.h5", Preparation(cutting).described())
    write_cutting(knee_folder, cuttings["padded"])
    stretched, padded, data = tmp_path / "stretched.h5", tmp_path / "padded.h5", knee_folder
    for others, second in (([], data), (["--with", str(padded)], padded)):
        with pytest.raises(SystemExit) as ended:
            knee_attention(["evaluate", str(stretched), "--data", str(data), *others])
        said = capsys.readouterr().err.strip()
        assert ended.value.code == 2
        assert said.endswith(f"{stretched}: its knees are prepared differently from those of "
                             f"{second} (fit stretch, not pad)")  # fmt: skip
    knee_attention(["evaluate", str(padded), "--data", str(data)])
    write_cutting(knee_folder, None)  # knees without a record cannot be compared
    knee_attention(["evaluate", str(stretched), "--data", str(data)])


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
    assert code == 0 and summary_counts(printed) == (2, 2, 0)
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
    assert code == 0 and summary_counts(printed) == (7, 2, 5)
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


def test_a_film_whose_crops_are_too_small_is_left_out(tmp_path):
    film = phantom_film((1, 3), 9021, height=400).image
    write_image(tmp_path / "film.png", cv2.resize(film, (49, 40), interpolation=cv2.INTER_AREA))
    cutter = Cutter(tmp_path, Cutting(size=(224, 224), crop="square"))
    with pytest.raises(ImageError, match="film.png: expected at least 16 pixels a side"):
        cutter(tmp_path / "film.png")


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
