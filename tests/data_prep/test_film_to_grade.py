"""Grading prepares a film exactly like the training knees, for all cutting options."""

import numpy as np
import pytest
from films_on_disk import write_films

from knee_attention import load_grader
from knee_attention.commands.cli import main as knee_attention
from knee_attention.commands.scripts.experiment import main
from knee_attention.datasets.dataset import load_dataset
from knee_attention.films.cutting import Cutting, write_cutting
from knee_attention.films.names import id_and_side
from knee_attention.films.preparation import Preparation
from knee_attention.grading.grader import Grader
from knee_attention.networks.files.model_files import save_model
from knee_attention.networks.model import build_model
from knee_attention.phantoms.dataset import phantom_dataset
from knee_attention.phantoms.film import phantom_film
from knee_attention.runs.experiment import Experiment

pytestmark = pytest.mark.usefixtures("eager", "blank_figures")

SIZE = (96, 96)
SMALL = Experiment("antony_clsf", ("att1",), "single")
QUICK = "--image-size 96 96 --batch-size 16 --epochs 1 --precision float32".split()


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


class Uniform:
    """A network that gives every grade the same probability."""

    def __init__(self, preparation):
        self.description = {"outputs": ["att1"], "image_size": SIZE, **preparation.described()}

    def __call__(self, images):
        return {"att1": np.full((len(images), 5), 0.2)}


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
