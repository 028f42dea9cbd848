import numpy as np
import pytest

from knee_attention.errors import InputError
from knee_attention.evidence.intervals import (
    bootstrap_intervals,
    draws,
    metrics_by_weight,
    paired_differences,
    variance_of_training,
)
from knee_attention.evidence.metrics import SCALARS, grade_metrics
from knee_attention.evidence.predictions import Predictions

TRUTH = {
    "accuracy": 0.65,
    "balanced_accuracy": 0.65,
    "kappa": 0.5625,  # (0.65 - 0.2) / (1 - 0.2)
    "kappa_linear": 0.5625,  # 1 - 0.35 * 2 / 1.6
    "kappa_quadratic": 0.5625,  # 1 - 0.35 * 5 / 4
    "mean_absolute_error": 0.7,  # 0.35 * 2
}
"""True values of the distribution of `persons`: half of the persons are graded right with
probability 0.9, half with 0.4. Grades are uniform; wrong predictions are uniform over the other
four grades (mean distance 2, mean square 5)."""


def persons(count, generator):
    """Grades, probabilities and subjects of persons whose two knees are equally difficult."""
    subjects = np.repeat(np.arange(count), 2)
    right = generator.random(2 * count) < generator.choice([0.4, 0.9], count)[subjects]
    grades = generator.integers(5, size=2 * count)
    wrong = (grades + generator.integers(1, 5, size=2 * count)) % 5
    confidence = generator.uniform(0.3, 0.95, 2 * count)
    probabilities = np.repeat((1 - confidence)[:, np.newaxis] / 4, 5, axis=1)
    probabilities[np.arange(2 * count), np.where(right, grades, wrong)] = confidence
    return grades, probabilities, [str(subject) for subject in subjects]


def predictions(grades, probabilities, subjects, output="att0"):
    files = [f"knee{number}" for number in range(len(grades))]
    return Predictions(files, subjects, grades, {output: probabilities})


def test_the_interval_covers_the_truth_in_93_to_97_percent_of_500_sets():
    generator = np.random.default_rng(0)
    covered = dict.fromkeys(TRUTH, 0)
    for number in range(500):
        found = bootstrap_intervals(*persons(150, generator), resamples=400, seed=number)
        for name, truth in TRUTH.items():
            low, high = found[name]
            covered[name] += low <= truth <= high
    assert all(0.93 <= count / 500 <= 0.97 for count in covered.values()), covered


def test_drawing_knee_by_knee_would_be_too_sure():
    """Two identical knees of one person carry the information of one knee."""
    grades, probabilities, subjects = persons(200, np.random.default_rng(0))
    alike = np.arange(0, 400, 2).repeat(2)
    grades, probabilities = grades[alike], probabilities[alike]

    def width(subjects):
        low, high = bootstrap_intervals(grades, probabilities, subjects)["accuracy"]
        return high - low

    assert width(subjects) > 1.25 * width([str(knee) for knee in range(400)])


def test_the_interval_does_not_shrink_when_every_knee_is_there_twice():
    grades, probabilities, subjects = persons(60, np.random.default_rng(3))
    once = bootstrap_intervals(grades, probabilities, subjects)
    twice = bootstrap_intervals(
        np.tile(grades, 2), np.tile(probabilities, (2, 1)), subjects + subjects
    )
    for name, interval in once.items():
        assert twice[name] == (interval and pytest.approx(interval))


def test_weighted_metrics_are_those_of_scikit_learn_on_repeated_knees():
    generator = np.random.default_rng(5)
    grades, probabilities, _ = persons(40, generator)
    probabilities = probabilities.round(1)  # many ties for the AUC
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    weights = generator.integers(0, 4, size=(3, 80))
    weights[2] = 1
    found = metrics_by_weight(grades, probabilities, weights.astype(float))
    for row, times in enumerate(weights):
        knees = np.repeat(np.arange(80), times)
        expected = grade_metrics(grades[knees], probabilities[knees])
        for name, values in found.items():
            assert values[row] == pytest.approx(expected[name]), name


def test_every_resample_has_as_many_persons_and_their_knees_together():
    drawn = draws(["a", "b", "a", "c"], 50, seed=0)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_every_scalar_has_an_interval_or_none():
    found = bootstrap_intervals(*persons(10, np.random.default_rng(0)))
    assert set(found) == set(SCALARS)
    assert [name for name in found if found[name] is None] == ["expected_calibration_error"]


def test_what_is_undefined_has_no_interval():
    certain = np.tile([1.0, 0, 0, 0, 0], (4, 1))
    found = bootstrap_intervals(np.zeros(4, int), certain, ["a", "a", "b", "b"])
    assert found["kappa"] is None and found["oa_auc"] is None
    assert found["accuracy"] == [1.0, 1.0]


def test_one_person_has_no_interval():
    found = bootstrap_intervals(np.array([0, 2]), np.eye(5)[[0, 1]], ["a", "a"])
    assert set(found.values()) == {None}


def test_a_model_does_not_differ_from_itself():
    knees = predictions(*persons(20, np.random.default_rng(0)))
    found = paired_differences(knees, "att0", knees, "att0")
    assert (found["knees"], found["subjects"]) == (40, 20)
    del found["metrics"]["expected_calibration_error"]
    for values in found["metrics"].values():
        assert values == {"difference": 0, "interval": [0, 0]}


def test_differences_are_first_minus_second_on_the_knees_of_both():
    generator = np.random.default_rng(1)
    grades, probabilities, subjects = persons(100, generator)
    right = predictions(grades, np.eye(5)[grades] * 0.9 + 0.02, subjects, "kl")
    other = predictions(grades, probabilities, subjects).take(generator.permutation(200)[:150])
    found = paired_differences(right, "kl", other, "att0")
    assert found["knees"] == 150
    accuracy = grade_metrics(other.grades, other.of("att0"))["accuracy"]
    difference = found["metrics"]["accuracy"]
    assert difference["difference"] == pytest.approx(1 - accuracy)
    low, high = difference["interval"]
    assert 0 < low < 1 - accuracy < high


def test_pairing_makes_the_interval_narrower():
    """Two models that differ in a few knees; difficult knees are difficult for both."""
    generator = np.random.default_rng(2)
    grades, probabilities, subjects = persons(100, generator)
    changed = probabilities.copy()
    changed[:4] = changed[:4, ::-1]
    first = predictions(grades, probabilities, subjects)
    second = predictions(grades, changed, subjects)
    paired = paired_differences(first, "att0", second, "att0")["metrics"]
    low, high = paired["accuracy"]["interval"]
    alone = bootstrap_intervals(grades, probabilities, subjects)["accuracy"]
    assert high - low < (alone[1] - alone[0]) / 2


def test_runs_without_a_common_knee_are_refused():
    knees = predictions(*persons(3, np.random.default_rng(0)))
    with pytest.raises(InputError, match="no knee in common"):
        paired_differences(knees.take([0, 1]), "att0", knees.take([2, 3]), "att0")


def test_runs_that_disagree_about_the_truth_are_refused():
    knees = predictions(*persons(3, np.random.default_rng(0)))
    others = Predictions(
        knees.files, knees.subjects, (knees.grades + 1) % 5, knees.probabilities
    )
    with pytest.raises(InputError, match="knee0 has the true grade"):
        paired_differences(knees, "att0", others, "att0")


def test_an_output_that_is_not_there_is_refused():
    knees = predictions(*persons(3, np.random.default_rng(0)))
    with pytest.raises(InputError, match="att7"):
        paired_differences(knees, "att0", knees, "att7")


def test_what_trainings_differ_by_beyond_their_knees_makes_the_interval_wider():
    generator = np.random.default_rng(4)
    grades, probabilities, subjects = persons(200, generator)
    worse = probabilities.copy()
    spoiled = generator.choice(400, 80, replace=False)
    worse[spoiled] = np.eye(5)[(grades[spoiled] + 1) % 5]
    other = predictions(grades, persons(200, generator)[1], subjects)

    def width(*trainings):
        known = [predictions(grades, values, subjects) for values in trainings]
        found = paired_differences(known, "att0", other, "att0")["metrics"]["accuracy"]
        return found["interval"][1] - found["interval"][0]

    assert width(probabilities, probabilities, probabilities) == pytest.approx(width(probabilities))
    assert width(probabilities, probabilities, worse) > 1.5 * width(probabilities)


def test_trainings_that_are_equally_good_differ_by_no_more_than_their_knees_explain():
    """The simulation of the module's docstring: the estimated variance is the true one."""
    generator = np.random.default_rng(6)
    knees, weights = 800, draws([str(k) for k in range(800)], 300, seed=0)
    for own in (0, 0.03):
        found = []
        for _ in range(100):
            right = generator.random((3, knees)) < 0.6 + generator.normal(0, own, (3, 1))
            drawn = right.astype(float) @ weights.T / knees
            found.append(variance_of_training(right.mean(axis=1), drawn))
        assert np.mean(found) == pytest.approx(own**2 / 3, abs=8e-5)
