"""Comparisons, ensembles, attention scores and other rules for the runs of one data set."""

from dataclasses import replace

import numpy as np

from knee_attention.evidence.audit import MEAN, OWN, UNIFORM
from knee_attention.evidence.decision import RULES, cross_validated
from knee_attention.evidence.finished_run import FinishedRun, metrics_with_intervals
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.predictions import ENSEMBLE, Predictions, common_to_all
from knee_attention.evidence.probabilities import classifying, ensemble
from knee_attention.evidence.result_lines import difference_text, with_interval
from knee_attention.evidence.tables.common import CHOSEN, by_chosen, have_own_phantoms
from knee_attention.limits import GRADES

Runs = dict[str, list[FinishedRun]]
"""`{experiment: trainings}`; the key is the name of the run without its seed."""

DEEPER = (("att1", "att0"), ("att2", "att1"))
"""Pairs of single branches to compare, the deeper one first."""

METRICS = ("accuracy", "balanced_accuracy", "kappa_quadratic")


def comparisons(runs: Runs, pairs: dict[str, tuple[str, str]]) -> list[list[str]]:
    """Differences between pairs of experiments on the same knees, with paired intervals.

    Each training is represented by its chosen output. The differences are between the means over
    trainings.

    Args:
        runs: all runs.
        pairs: `{label: (first, second)}`; the difference is the first minus the second.

    Returns:
        A row `[label, accuracy, quadratic kappa]` for each pair with runs, except those whose seeds
        drew their own phantoms.
    """
    rows = []
    for what, names in pairs.items():
        trainings = [runs.get(name, []) for name in names]
        if all(trainings) and not have_own_phantoms(sum(trainings, [])):
            first, second = ([by_chosen(run) for run in each] for each in trainings)
            rows.append([what, *_differences(first, second, CHOSEN)])
    return rows


def pairs_of(backbones: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The pairs to compare within each backbone: deeper with shallower branches, multi-loss with
    att0 and att1, and single branches with the baseline.

    Args:
        backbones: `{backbone: title}`.

    Returns:
        `{label: (experiment, experiment)}`.
    """
    pairs = {}
    for backbone, title in backbones.items():
        alone = {f"{title}: {deep} alone - {shallow} alone": (deep, shallow)
                 for deep, shallow in DEEPER}  # fmt: skip
        alone |= {f"{title}: multi-loss - {branch} alone": ("multiloss", branch)
                  for branch in ("att0", "att1")}  # fmt: skip
        pairs |= {
            what: tuple(f"{backbone}_{name}" for name in names) for what, names in alone.items()
        }
        pairs |= {
            f"{title}: {branch} alone - without attention": (
                f"{backbone}_{branch}", f"{backbone}_baseline"
            )
            for branch in ("att0", "att1", "att2")
        }  # fmt: skip
    return pairs


def _differences(first: list[Predictions], second: list[Predictions], output: str) -> list[str]:
    """The differences of accuracy and quadratic kappa as text, with intervals."""
    found = paired_differences(first, output, second, output)["metrics"]
    return [difference_text(found[name]) for name in ("accuracy", "kappa_quadratic")]


def ensemble_of_runs(trainings: list[FinishedRun]) -> Predictions:
    """The ensemble of all classifying outputs of all trainings: the mean before the softmax."""
    known = common_to_all([run.predictions for run in trainings])
    members = [
        values for one in known for values in classifying(one.probabilities).values()
    ]
    return replace(known[0], probabilities={ENSEMBLE: ensemble(members)})


def ensemble_rows(title: str, trainings: list[FinishedRun]) -> list[list[str]]:
    """Metrics of the chosen outputs, of the ensembles of each training, and of the ensemble of all.

    Returns:
        three rows `[label, accuracy, balanced accuracy, quadratic kappa, recall of each grade]`.
    """
    alone = [_numbers(by_chosen(run), CHOSEN) for run in trainings]
    ensembles = [_numbers(ensemble_of_runs([run]), ENSEMBLE) for run in trainings]
    count = len(trainings)
    return [
        [f"{title}, the chosen branch, mean of {count}", *_cells(np.mean(alone, axis=0))],
        [f"{title}, all branches, mean of {count}", *_cells(np.mean(ensembles, axis=0))],
        [f"{title}, all branches of all {count}", *_with_intervals(ensemble_of_runs(trainings))],
    ]


def attention(runs: Runs) -> list[list[str]]:
    """Attention on joint spaces that experts drew, for the runs with such scores.

    Returns:
        rows `[label, attention on / off the joint space, the same for the mean mask, share of
        knees with the highest attention on the joint space, on / off the joint space half a cell
        wider, share for that]`. The first row is a uniform mask.
    """
    asked = [
        (f"{name}, seed {run.experiment['seed']}" if len(trainings) > 1 else name, run.expert_masks)
        for name, trainings in runs.items()
        for run in trainings
        if run.expert_masks
    ]
    found = []
    for name, known in asked:
        for branch, exact in known["exact"].items():
            wide = known["widened"][branch]
            averaged = known["averaged"][branch]
            found.append([
                f"{name}: {branch}",
                f"{exact['inside_over_outside']:.2f}",
                f"{averaged['inside_over_outside']:.2f}",
                f"{exact['pointing_game']:.1%}",
                f"{wide['inside_over_outside']:.2f}",
                f"{wide['pointing_game']:.1%} (uniform {wide['pointing_game_uniform']:.1%})",
            ])
    if asked:
        share = f"{exact['pointing_game_uniform']:.1%}"
        found.insert(0, ["a uniform mask", "1.00", "1.00", share, "1.00", ""])
    return found


def audits(runs: Runs) -> list[list[str]]:
    """The audited masks of each run: where they are highest, and whether they matter.

    Returns:
        rows `[run and branch, share of knees whose highest attention is on the joint, the same for
        the mean mask, the difference, the same for a uniform mask, share of the attention on the
        joint, the same for the mean and a uniform mask, accuracy, accuracy with the mean mask, the
        difference]`.
    """
    return [
        [f"{name}, seed {run.experiment['seed']}: {branch}", *_audited(masks)]
        for name, trainings in runs.items()
        for run in trainings
        for branch, masks in run.audit.items()
        if "highest" in masks.get(OWN, {})
    ]


def _audited(masks: dict[str, dict]) -> list[str]:
    def of(mask: str, measure: str) -> str:
        return f"{masks[mask][measure]['value']:.3f}"

    def less(measure: str) -> str:
        return with_interval(*masks[MEAN][measure]["own_minus_this"].values(), "+")

    return [of(OWN, "highest"), of(MEAN, "highest"), less("highest"), of(UNIFORM, "highest"),
            of(OWN, "energy"), of(MEAN, "energy"), of(UNIFORM, "energy"),
            of(OWN, "accuracy"), of(MEAN, "accuracy"), less("accuracy")]


def rules(known: Predictions) -> list[list[str]]:
    """The metrics of each rule on persons that it was not fitted on.

    Returns:
        rows as in `ensemble_rows`, followed by the paired differences of accuracy and quadratic
        kappa to the first rule.
    """
    found, first = [], None
    for title, learn in RULES.items():
        said = cross_validated(learn, known.grades, known.of(ENSEMBLE), known.subjects)
        sure = replace(known, probabilities={ENSEMBLE: np.eye(len(GRADES))[said]})
        against = _differences([sure], [first], ENSEMBLE) if first else ["", ""]
        first = first or sure
        found.append([title, *_with_intervals(sure), *against])
    return found


def _numbers(known: Predictions, output: str) -> np.ndarray:
    found = grade_metrics(known.grades, known.of(output))
    return np.array([*(found[name] for name in METRICS), *_recalls(found)], float)  # None: NaN


def _recalls(found: dict) -> list[float]:
    return [np.nan if row["recall"] is None else row["recall"] for row in found["per_grade"]]


def _cells(numbers: np.ndarray) -> list[str]:
    return [*(f"{value:.3f}" for value in numbers[:3]), " ".join(f"{r:.2f}" for r in numbers[3:])]


def _with_intervals(known: Predictions) -> list[str]:
    found = metrics_with_intervals(known.grades, known.of(ENSEMBLE), known.subjects)
    return [*(with_interval(found[name], found["intervals"][name]) for name in METRICS),
            " ".join(f"{recall:.2f}" for recall in _recalls(found))]
