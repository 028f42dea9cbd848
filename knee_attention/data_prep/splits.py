"""Splitting subjects into training, validation and test sets with equal shares of each grade."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from knee_attention.limits import TEST_SHARE, VALIDATION_SHARE

LARGEST_EXCHANGE = 150
"""With more kinds of subject than this, only single moves are tried: they suffice, and exchanges
would take long."""


def split_shares(
    test: float = TEST_SHARE, validation: float = VALIDATION_SHARE
) -> dict[str, float]:
    """The share of each split; `validation` is a share of what the test set leaves (section 4).

    Returns:
        `{"train": 0.63, "validation": 0.07, "test": 0.3}` with the paper's values.
    """
    return {
        "train": (1 - test) * (1 - validation),
        "validation": (1 - test) * validation,
        "test": test,
    }


def assign(
    subjects: Sequence[str], grades: Sequence[int], shares: Mapping[str, float], seed: int = 0
) -> dict[str, str]:
    """Assign every subject to a split, so that every split gets its share of every grade.

    Subjects with the same grades (such as one knee of grade 2 and one of 3) form a kind. Each kind
    is drawn at random in the wanted proportions. Then subjects are moved between splits until no
    move brings the grades closer to their shares.

    Args:
        subjects: the subject of each knee.
        grades: the grade of each knee.
        shares: for each split its part of the knees; they add up to 1.
        seed: seed of the draw. The order of the knees does not matter.

    Returns:
        The split of each subject.
    """
    if not len(subjects):
        return {}
    knees_of = {}
    for subject, grade in zip(subjects, grades, strict=True):
        knees_of.setdefault(str(subject), []).append(int(grade))
    kinds = {}
    for subject in sorted(knees_of):
        kinds.setdefault(tuple(sorted(knees_of[subject])), []).append(subject)
    columns = {grade: column for column, grade in enumerate(sorted(set(map(int, grades))))}
    knees = np.zeros((len(kinds), len(columns)))
    for row, kind in enumerate(sorted(kinds)):
        for grade, count in Counter(kind).items():
            knees[row, columns[grade]] = count

    rng = np.random.default_rng(seed)
    members = [rng.permutation(kinds[kind]) for kind in sorted(kinds)]
    share = np.array(list(shares.values()), float)
    drawn = _draw([len(kind) for kind in members], share, rng)
    _even_out(drawn, knees, share)
    assignment = {}
    for kind, counts in zip(members, drawn, strict=True):
        for name, part in zip(shares, np.split(kind, np.cumsum(counts)[:-1]), strict=True):
            assignment.update((str(subject), name) for subject in part)
    return assignment


def _draw(sizes: Sequence[int], share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the number of subjects of each kind in each split, `(kinds, splits)`.

    Shares are rounded at random. No split stays empty if there are enough subjects.
    """
    wanted = np.outer(sizes, share)
    drawn = np.floor(wanted + 1e-9).astype(int)
    for row, size in enumerate(sizes):
        left = size - drawn[row].sum()
        if left:
            rest = np.maximum(wanted[row] - drawn[row], 0) + 1e-12
            chosen = rng.choice(len(share), left, replace=False, p=rest / rest.sum())
            drawn[row, chosen] += 1
    for empty in np.flatnonzero(drawn.sum(axis=0) == 0):
        fullest = drawn.sum(axis=0).argmax()
        if drawn[:, fullest].sum() > 1:
            row = drawn[:, fullest].argmax()
            drawn[row, fullest] -= 1
            drawn[row, empty] += 1
    return drawn


def _even_out(drawn: np.ndarray, knees: np.ndarray, share: np.ndarray) -> None:
    """Move subjects between splits, in place, while it brings the grades closer to their shares.

    For each split and grade, the deviation is the part of the grade's knees in the split minus the
    split's share. The sum of its squares is minimised. A move takes a subject to another split;
    with few kinds also exchanges of two subjects are tried.

    Args:
        drawn: number of subjects of each kind in each split, `(kinds, splits)`.
        knees: number of knees of each grade that a subject of each kind has, `(kinds, grades)`.
        share: share of each split, `(splits,)`.
    """
    weight = knees / (knees * drawn.sum(axis=1, keepdims=True)).sum(axis=0)
    off = drawn.T @ weight - share[:, None]
    kinds = np.arange(len(knees))
    steps, moved, returned = weight, kinds, np.full_like(kinds, -1)
    if len(kinds) <= LARGEST_EXCHANGE:
        put, back = np.divmod(np.arange(len(kinds) ** 2), len(kinds))
        steps = np.concatenate([weight, weight[put] - weight[back]])
        moved, returned = np.concatenate([kinds, put]), np.concatenate([returned, back])
    length = 2 * (steps**2).sum(axis=1)
    while True:
        best, move = -1e-12, None
        for source in range(len(share)):
            for target in range(len(share)):
                if source == target:
                    continue
                gain = 2 * steps @ (off[target] - off[source]) + length
                possible = (drawn[moved, source] > 0) & (
                    (returned < 0) | (drawn[returned, target] > 0)
                )
                if drawn[:, source].sum() == 1:  # the last subject of a split may only be exchanged
                    possible &= returned >= 0
                gain[~possible] = 0
                step = int(gain.argmin())
                if gain[step] < best:
                    best, move = gain[step], (step, source, target)
        if move is None:
            return
        step, source, target = move
        drawn[moved[step], source] -= 1
        drawn[moved[step], target] += 1
        if returned[step] >= 0:
            drawn[returned[step], target] -= 1
            drawn[returned[step], source] += 1
        off[source] -= steps[step]
        off[target] += steps[step]
