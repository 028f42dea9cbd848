"""What the runs of one data set find together: the paper's claims, and what goes beyond it."""

import numpy as np

from knee_attention.evidence.decision import RULES, said_of_others
from knee_attention.evidence.ensemble import ensemble
from knee_attention.evidence.evaluation import measured
from knee_attention.evidence.finished_run import FinishedRun
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.predictions import ENSEMBLE, Predictions, common_knees
from knee_attention.evidence.result_lines import with_interval
from knee_attention.kl import GRADES, REGRESSION

Runs = dict[str, list[FinishedRun]]
"""The trainings of each experiment, by the name of its folder without the seed."""

DEEPER = (("att1", "att0"), ("att2", "att1"))
"""Pairs of branches trained alone, the deeper one first."""

METRICS = ("accuracy", "balanced_accuracy", "kappa_quadratic")


def comparisons(runs: Runs, backbones: dict[str, str], beside: dict[str, str]) -> list[list[str]]:
    """Differences that the tables do not show, on the same knees, with paired intervals.

    Each training takes part by the output that validation chose, and the means over trainings are
    compared.

    Args:
        runs: all there are.
        backbones: `{backbone: title}`.
        beside: `{name: title}` of runs besides the tables, each compared with VGG-16 multi-loss.

    Returns:
        A row `[what, accuracy, quadratic kappa]` for each pair that is there.
    """
    pairs = {
        f"{title}: {deep} alone - {shallow} alone": (f"{backbone}_{deep}", f"{backbone}_{shallow}")
        for backbone, title in backbones.items()
        for deep, shallow in DEEPER
    }
    multiloss = "vgg16_multiloss"
    pairs |= {f"{title} - as in the table": (name, multiloss) for name, title in beside.items()}
    rows = []
    for what, names in pairs.items():
        if all(name in runs for name in names):
            found = paired_differences(
                chosen_of(runs[names[0]]), ENSEMBLE, chosen_of(runs[names[1]]), ENSEMBLE
            )["metrics"]
            rows.append([what, *(
                with_interval(found[name]["difference"], found[name]["interval"], "+")
                for name in ("accuracy", "kappa_quadratic")
            )])  # fmt: skip
    return rows


def chosen_of(trainings: list[FinishedRun]) -> list[Predictions]:
    """The predictions of each training's chosen output, under one name."""
    return [
        Predictions(known.files, known.subjects, known.grades, {ENSEMBLE: known.of(run.chosen)})
        for run, known in ((run, run.predictions) for run in trainings)
    ]


def together(trainings: list[FinishedRun]) -> Predictions:
    """All classifying outputs of all trainings as one: the mean before the softmax."""
    knees = trainings[0].predictions
    members = [
        values
        for run in trainings
        for output, values in common_knees(knees, run.predictions)[1].probabilities.items()
        if output != REGRESSION
    ]
    return Predictions(knees.files, knees.subjects, knees.grades, {ENSEMBLE: ensemble(members)})


def beyond(title: str, trainings: list[FinishedRun]) -> list[list[str]]:
    """Rows beyond the paper for one experiment: its trainings alone, their branches together, and
    all of them together.

    Returns:
        rows `[what, accuracy, balanced accuracy, quadratic kappa, recall of each grade]`.
    """
    alone = [_numbers(one.grades, one.of(ENSEMBLE)) for one in chosen_of(trainings)]
    branches = [together([run]) for run in trainings]
    joined = [_numbers(one.grades, one.of(ENSEMBLE)) for one in branches]
    count = len(trainings)
    every = together(trainings)
    return [
        [f"{title}, one output, mean of {count}", *_cells(np.mean(alone, axis=0))],
        [f"{title}, both branches, mean of {count}", *_cells(np.mean(joined, axis=0))],
        [f"{title}, both branches of {count}", *_with_intervals(every)],
    ]


def attention(runs: Runs) -> list[list[str]]:
    """How attention lies on joint spaces that experts drew, for the runs that were asked.

    Returns:
        rows `[what, on over off the joint space, highest point on it]`, and both again with the
        joint space half a cell wider; of a uniform mask first.
    """
    found, uniform = [], None
    for name, trainings in runs.items():
        for run in trainings:
            for branch, exact in (run.expert_masks or {"exact": {}})["exact"].items():
                wide = run.expert_masks["widened"][branch]
                uniform = uniform or exact
                seed = f", seed {run.experiment['seed']}" if len(trainings) > 1 else ""
                found.append([
                    f"{name}{seed}: {branch}",
                    f"{exact['inside_over_outside']:.2f}",
                    f"{exact['pointing_game']:.1%}",
                    f"{wide['inside_over_outside']:.2f}",
                    f"{wide['pointing_game']:.1%} (uniform {wide['pointing_game_uniform']:.1%})",
                ])
    if uniform:
        share = f"{uniform['pointing_game_uniform']:.1%}"
        found.insert(0, ["a uniform mask", "1.00", share, "1.00", ""])
    return found


def rules(known: Predictions) -> list[list[str]]:
    """What each rule says of persons it has not learnt from; rows as `beyond` gives them."""
    grades, values = known.grades, known.of(ENSEMBLE)
    found = []
    for title, learn in RULES.items():
        said = said_of_others(learn, grades, values, known.subjects)
        sure = np.eye(len(GRADES))[said]
        found.append([title, *_with_intervals(
            Predictions(known.files, known.subjects, grades, {ENSEMBLE: sure})
        )])  # fmt: skip
    return found


def _numbers(grades: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    found = measured(grades, probabilities, [""] * len(grades))
    return np.array([*(found[name] for name in METRICS), *_recalls(found)])


def _recalls(found: dict) -> list[float]:
    return [np.nan if row["recall"] is None else row["recall"] for row in found["per_grade"]]


def _cells(numbers: np.ndarray) -> list[str]:
    return [*(f"{value:.3f}" for value in numbers[:3]), " ".join(f"{r:.2f}" for r in numbers[3:])]


def _with_intervals(known: Predictions) -> list[str]:
    found = measured(known.grades, known.of(ENSEMBLE), known.subjects)
    return [*(with_interval(found[name], found["intervals"][name]) for name in METRICS),
            " ".join(f"{recall:.2f}" for recall in _recalls(found))]
