"""How sure a number is: the bootstrap over persons, for one model and between two.

Both knees of a person are drawn together, because they are not independent of each other: drawn
one by one they would make every interval too narrow.

Over 2,000 simulated sets of 50 to 200 persons the 95% intervals covered the truth in 93.6 to 95.9%.
Only the expected calibration error has none: noise alone makes it larger, in a resample more so
than in the sample, and its interval covered the truth in 71% of 500 sets of 40 persons.

Reference: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

import numpy as np

from knee_attention.evidence import metrics
from knee_attention.evidence.metrics import SCALARS
from knee_attention.evidence.predictions import Predictions, common_to_all
from knee_attention.kl import GRADES, OSTEOARTHRITIS

LEVEL = 0.95


def bootstrap_intervals(
    grades: np.ndarray,
    probabilities: np.ndarray,
    subjects: list[str],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[float] | None]:
    """95% percentile intervals of every scalar metric.

    Args:
        grades: `(n,)` true grades.
        probabilities: `(n, 5)`, or `(trainings, n, 5)` for the means over several trainings.
        subjects: the person of each knee.
        resamples: how many times as many persons are drawn as there are, with replacement.
        seed: decides what is drawn.

    Returns:
        `{metric: [low, high]}`, None for a metric that is undefined here or has no interval, as
        none has with a single person.
    """
    trainings = np.reshape(probabilities, (-1, len(grades), len(GRADES)))
    as_they_are = _means(grades, trainings, np.ones((1, len(grades))))
    drawn = _means(grades, trainings, draws(subjects, resamples, seed))
    intervals = dict.fromkeys(SCALARS)
    if len(set(subjects)) < 2:
        return intervals
    intervals |= {name: _interval(drawn[name]) for name in drawn if np.isfinite(as_they_are[name])}
    return intervals


def paired_differences(
    first: Predictions | list[Predictions],
    first_output: str,
    second: Predictions | list[Predictions],
    second_output: str,
    resamples: int = 1000,
    seed: int = 0,
) -> dict:
    """Differences between two models on the same knees, first minus second.

    Each resample draws the same persons for both, so what makes a knee hard for both cancels.

    Args:
        first, second: their predictions; knees are matched by file, and those that all have
            count. For a list, several trainings, means over them are compared.
        first_output, second_output: an output of each, or `"ensemble"`.
        resamples: number of resamples.
        seed: decides what is drawn.

    Returns:
        `{"knees": n, "subjects": m, "metrics": {metric: {"difference": d, "interval": [l, h]}}}`,
        None in place of a metric that is undefined here or has no interval, as above.

    Raises:
        InputError: no knee in common, different truths, or an output that is not there.
    """
    first, second = (
        [given] if isinstance(given, Predictions) else given for given in (first, second)
    )
    known = common_to_all([*first, *second])
    knees = known[0]
    pair = [
        np.stack([training.of(output) for training in trainings])
        for trainings, output in ((known[: len(first)], first_output),
                                  (known[len(first) :], second_output))
    ]
    weights = draws(knees.subjects, resamples, seed)
    estimates = [_means(knees.grades, values, np.ones((1, len(knees)))) for values in pair]
    drawn = [_means(knees.grades, values, weights) for values in pair]
    differences = dict.fromkeys(SCALARS)
    for name in drawn[0]:
        difference = float(estimates[0][name][0] - estimates[1][name][0])
        if np.isfinite(difference) and len(set(knees.subjects)) > 1:
            differences[name] = {
                "difference": difference,
                "interval": _interval(drawn[0][name] - drawn[1][name]),
            }
    return {
        "knees": len(knees),
        "subjects": len(set(knees.subjects)),
        "metrics": differences,
    }


def draws(subjects: list[str], resamples: int, seed: int) -> np.ndarray:
    """How often each knee is in each resample, `(resamples, n)` float64."""
    persons, person_of_knee = np.unique(subjects, return_inverse=True)
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(persons), size=(resamples, len(persons)))
    chosen += np.arange(resamples)[:, np.newaxis] * len(persons)
    counts = np.bincount(chosen.ravel(), minlength=resamples * len(persons))
    return counts.reshape(resamples, -1)[:, person_of_knee].astype(np.float64)


def _means(
    grades: np.ndarray, trainings: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """`metrics_by_weight`, meant over the `(trainings, n, 5)` probabilities."""
    each = [metrics_by_weight(grades, values, weights) for values in trainings]
    return {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}


def metrics_by_weight(
    grades: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """The scalars of `grade_metrics` that have an interval, for many weightings at once.

    Args:
        grades: `(n,)`.
        probabilities: `(n, 5)`.
        weights: `(resamples, n)`, how often each knee counts.

    Returns:
        `{metric: (resamples,)}`, NaN where a resample leaves it undefined.
    """
    predicted = probabilities.argmax(axis=1)
    total = weights.sum(axis=1)
    cells = np.eye(len(GRADES) ** 2)[grades * len(GRADES) + predicted]
    confusion = (weights @ cells).reshape(-1, len(GRADES), len(GRADES))
    distance = np.abs(np.subtract.outer(GRADES, GRADES))
    oa = np.array(GRADES) >= OSTEOARTHRITIS
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = np.diagonal(confusion, axis1=1, axis2=2) / confusion.sum(axis=2)
        return {
            "accuracy": _mean_cost(confusion, distance == 0),
            "balanced_accuracy": np.nanmean(recalls, axis=1),
            "cross_entropy": weights @ metrics.losses(grades, probabilities) / total,
            "kappa": _kappa(confusion, distance > 0),
            "kappa_linear": _kappa(confusion, distance),
            "kappa_quadratic": _kappa(confusion, distance**2),
            "mean_absolute_error": _mean_cost(confusion, distance),
            "oa_accuracy": _mean_cost(confusion, np.equal.outer(oa, oa)),
            "oa_auc": _auc(
                grades >= OSTEOARTHRITIS, probabilities[:, OSTEOARTHRITIS:].sum(axis=1), weights
            ),
        }


def _mean_cost(confusion: np.ndarray, cost: np.ndarray) -> np.ndarray:
    return (confusion * cost).sum(axis=(1, 2)) / confusion.sum(axis=(1, 2))


def _kappa(confusion: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """One minus the disagreement observed over that expected by chance."""
    truth, prediction = confusion.sum(axis=2), confusion.sum(axis=1)
    expected = truth[:, :, np.newaxis] * prediction[:, np.newaxis, :]
    return 1 - _mean_cost(confusion, cost) / _mean_cost(expected, cost)


def _auc(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The chance that a positive scores above a negative; a tie counts half."""
    order = np.argsort(scores, kind="stable")
    positive, weights = positive[order], weights[:, order]
    _, first, values = np.unique(scores[order], return_index=True, return_inverse=True)
    last = np.append(first[1:], len(scores))
    negatives = np.cumsum(weights * ~positive, axis=1)
    negatives = np.pad(negatives, ((0, 0), (1, 0)))
    below = (negatives[:, first] + negatives[:, last])[:, values] / 2
    positives = weights * positive
    return (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives[:, -1])


def _interval(values: np.ndarray) -> list[float]:
    """The middle 95% of the resamples in which the metric is defined."""
    tail = (1 - LEVEL) / 2
    return [float(bound) for bound in np.nanquantile(values, [tail, 1 - tail])]
