"""Measure a model's robustness: grade the same knees clean and corrupted."""

import numpy as np
from tqdm import tqdm

from knee_attention.datasets.dataset import load_dataset, preparation_of
from knee_attention.datasets.knees import Dataset, Knees
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.probabilities import as_probabilities
from knee_attention.evidence.robustness import losses_by_corruption
from knee_attention.films.corruption import CORRUPTIONS, CorruptedPreparation
from knee_attention.films.preparation import refuse_differences
from knee_attention.grading.grader import BATCH, Grader
from knee_attention.limits import GRADES

GRADED = "graded"


def robustness(
    grader: Grader, data: str, split: str, limit: int | None = None, seed: int = 0
) -> tuple[dict, Dataset]:
    """Grade the same knees clean and with each corruption, by the model's decision rule.

    Args:
        grader: the model. Its polarity applies to the knees.
        data: a data folder or HDF5 file.
        split: the split to measure on.
        limit: at most this many knees, in the same proportions of grades; None for all.
        seed: decides which knees a limit keeps.

    Returns:
        The results without `model`, `data` and `split`, see `evidence.robustness`; and the clean
        data set.

    Raises:
        InputError: the data cannot be used, or its knees are prepared in another way than those of
            the model's training.
    """
    recorded = preparation_of(data)
    refuse_differences([(grader.network.path, grader.preparation), (data, recorded)])

    def graded(corruption: str | None) -> tuple[Dataset, Predictions]:
        preparation = CorruptedPreparation(**vars(recorded), corruption=corruption)
        dataset = load_dataset(data, grader.image_size, limit, seed, (split,), grader.polarity,
                               preparation)  # fmt: skip
        knees = dataset.splits[split]
        one_hot = np.eye(len(GRADES))[_grades(grader, knees, corruption or "clean")]
        return dataset, Predictions(knees.files, knees.subjects, knees.grades, {GRADED: one_hot})

    dataset, clean = graded(None)
    corrupted = {corruption: graded(corruption)[1] for corruption in CORRUPTIONS}
    results = {
        "knees": len(clean),
        "persons": len(set(clean.subjects)),
        "rule": grader.decide,
        **losses_by_corruption(clean, corrupted, GRADED),
    }
    return results, dataset


def _grades(grader: Grader, knees: Knees, title: str) -> np.ndarray:
    """The grades `(n,)` of prepared knees by the model's calibration and decision rule."""
    found = []
    with tqdm(total=len(knees), desc=title, unit="knee", disable=None) as bar:
        for first in range(0, len(knees), BATCH):
            images = knees.images[np.arange(first, min(first + BATCH, len(knees)))]
            values = grader.network(images[..., np.newaxis].astype(np.float32))[grader.chosen]
            probabilities = grader.calibration.probabilities(
                grader.chosen, as_probabilities(values)
            )
            found.append(grader.calibration.grades(probabilities, grader.decide))
            bar.update(len(images))
    return np.concatenate(found)
