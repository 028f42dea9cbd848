"""Grey images for knees, folders of phantom films, an uninformed network; loading of scripts."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from knee_attention.films.preparation import Preparation
from knee_attention.phantoms.film import phantom_film

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def load_script(path: Path) -> ModuleType:
    """The module of a script, newly loaded; its main program does not run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blob_knee(grade: int, generator: np.random.Generator, size=(112, 96)) -> np.ndarray:
    """An image of `size`, uint8."""
    image = generator.integers(0, 60, size).astype(np.uint8)
    middle = size[0] // 2
    image[middle - 3 * grade - 2 : middle + 3 * grade + 2, 10:-10] = 200
    return image


def write_knees(root: Path) -> Path:
    """A data folder: 20 training, 10 validation and 10 test knees of five persons per split."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        for grade in range(5):
            folder = root / split / str(grade)
            folder.mkdir(parents=True)
            for number in range(count):
                name = f"{split}{grade}{number // 2}{'RL'[number % 2]}.png"
                cv2.imwrite(str(folder / name), blob_knee(grade, generator))
    return root


SIZE = (96, 96)
SQUARE = Preparation(crop="square")


class Uniform:
    """A network with equal probabilities of all grades, and attention to the upper left."""

    def __init__(self, preparation):
        self.description = {"outputs": ["att0"], "image_size": SIZE, **preparation.described()}

    def __call__(self, images):
        mask = np.zeros((len(images), 4, 4), np.float32)
        mask[:, :2, :2] = 1
        return {"att0": np.full((len(images), 5), 0.2), "att0_mask": mask}


def write_films(folder: Path, count: int, height: int = 160) -> Path:
    """Write films S000.png, S001.png, ... into a folder; return the table of their grades."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        grades = index % 5, (index // 2) % 5
        name = f"S{index:03d}"
        cv2.imwrite(str(folder / f"{name}.png"), phantom_film(grades, index, height).image)
        rows += [(name, "R", grades[0]), (name, "L", grades[1])]
    table = folder.with_suffix(".csv")
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "side", "kl"), *rows])
    return table


def read_rows(path: Path) -> list[dict]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary_counts(printed: str) -> tuple[int, int, int]:
    """The printed numbers of files found, written and excluded."""
    words = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    found, written, excluded = (int(words[name][1]) for name in ("found", "written", "excluded"))
    assert found == written + excluded
    return found, written, excluded
