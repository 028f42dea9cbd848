"""Stand-ins: grey images for knees, and a network with uniform probabilities."""

from pathlib import Path

import cv2
import numpy as np

from knee_attention.films.preparation import Preparation


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
