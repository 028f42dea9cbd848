from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from knee_attention.data_prep.splits import assign, split_shares
from knee_attention.datasets.layout import SPLITS

SUBJECTS_THAT_SUFFICE = 100  # per grade, for shares within 1.5 percentage points


@st.composite
def knee_tables(draw, smallest: int = 3, largest: int = 800) -> tuple[list[str], list[int]]:
    """Subjects with one to three visits and one or two knees each, and unevenly frequent grades."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = np.array(draw(st.lists(st.floats(0.03, 1), min_size=5, max_size=5)))
    correlation, visits = draw(st.floats(0, 1)), draw(st.integers(1, 3))
    subjects, grades = [], []
    for subject in range(draw(st.integers(smallest, largest))):
        usual = rng.choice(5, p=weights / weights.sum())
        for _ in range(rng.integers(1, visits + 1)):
            for _ in range(rng.integers(1, 3)):
                other = rng.choice(5, p=weights / weights.sum())
                subjects.append(f"P{subject}")
                grades.append(int(usual if rng.random() < correlation else other))
    return subjects, grades


@settings(max_examples=30, deadline=None)
@given(knee_tables(), st.integers(0, 99), st.randoms(use_true_random=False))
def test_any_table(table, seed, random):
    subjects, grades = table
    shares = split_shares()
    assignment = assign(subjects, grades, shares, seed)
    assert assignment.keys() == set(subjects)  # every subject has exactly one split
    assert set(assignment.values()) == set(SPLITS)

    order = list(range(len(subjects)))
    random.shuffle(order)
    again = assign([subjects[at] for at in order], [grades[at] for at in order], shares, seed)
    assert again == assignment

    holders = Counter(grade for _, grade in set(zip(subjects, grades, strict=True)))
    knees = Counter(grades)
    here = Counter((assignment[subject], grade) for subject, grade in zip(*table, strict=True))
    if all(holders[grade] >= SUBJECTS_THAT_SUFFICE for grade in knees):
        for split, share in shares.items():
            for grade, count in knees.items():
                assert abs(here[split, grade] / count - share) <= 0.015


@settings(max_examples=15, deadline=None)
@given(knee_tables(smallest=700))
def test_shares_of_large_tables(table):
    subjects, grades = table
    shares = split_shares(test=0.25, validation=0.2)
    assignment = assign(subjects, grades, shares, seed=1)
    splits = np.array([assignment[subject] for subject in subjects])
    for grade, count in Counter(grades).items():
        if count >= 2 * SUBJECTS_THAT_SUFFICE:
            for split, share in shares.items():
                assert abs((splits[np.array(grades) == grade] == split).mean() - share) <= 0.015


def test_seeds_draw_different_subjects():
    subjects, grades = [f"P{index}" for index in range(300)], [index % 5 for index in range(300)]
    one, other = (assign(subjects, grades, split_shares(), seed) for seed in (0, 1))
    assert one != other


def test_the_papers_shares():
    assert {name: round(share, 4) for name, share in split_shares().items()} == {
        "train": 0.63,
        "validation": 0.07,
        "test": 0.3,
    }
    assert assign([], [], split_shares()) == {}
