"""A model's predictions on a split, as a table and as results."""

import numpy as np
import pandas as pd

from knee_attention.evidence.metrics import cross_entropy, ensemble, grade_metrics


def better_branch(grades: np.ndarray, probabilities: dict[str, np.ndarray]) -> str:
    """The output with the lowest cross-entropy; to be asked on the validation split."""
    return min(probabilities, key=lambda name: cross_entropy(grades, probabilities[name]))


def split_results(grades: np.ndarray, probabilities: dict[str, np.ndarray]) -> dict:
    """`grade_metrics` of every output and, where there are several, of their ensemble."""
    results = {name: grade_metrics(grades, values) for name, values in probabilities.items()}
    if len(probabilities) > 1:
        results["ensemble"] = grade_metrics(grades, ensemble(list(probabilities.values())))
    return results


def predictions_table(
    files: list[str],
    subjects: list[str],
    grades: np.ndarray,
    probabilities: dict[str, np.ndarray],
    chosen: str,
) -> pd.DataFrame:
    """One row a knee.

    Returns:
        columns `file`, `subject`, `grade`, `<output>_p0` to `<output>_p4` for every output, and
        `prediction`, the grade by the chosen output.
    """
    columns = {"file": files, "subject": subjects, "grade": grades}
    for name, values in probabilities.items():
        columns |= {f"{name}_p{grade}": values[:, grade] for grade in range(values.shape[1])}
    return pd.DataFrame({**columns, "prediction": probabilities[chosen].argmax(axis=1)})


def one_of_each_grade(grades: np.ndarray) -> np.ndarray:
    """Positions of the first knee of each grade present, by grade."""
    return np.unique(grades, return_index=True)[1]
