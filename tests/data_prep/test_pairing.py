import pytest

from knee_attention.data_prep.pairing import pair


def label(film, subject, side="R"):
    return {"id": film, "subject": subject, "side": side, "kl": 2}


def knee(film, side="R"):
    return {"id": film, "side": side, "source": f"{film}_{side}.png"}


@pytest.mark.parametrize(
    ("films", "labels", "subjects", "paired"),
    [
        (["9_016600000001"], [label("9_016600000001", "9")], {}, 1),
        (["9"], [label("9_016600000001", "9")], {}, 1),  # the knee's id is its subject
        (["9"], [label("9_016600000001", "9"), label("9_016600000002", "9")], {}, 0),
        # a film of another visit must not get this visit's grade
        (["9_016600000002"], [label("9_016600000001", "9")], {"9_016600000002": "9"}, 0),
        (["M_20040101"], [label("M_V0", "M")], {"M_20040101": "M"}, 1),
        (["M_1", "M_2"], [label("M_V0", "M")], {"M_1": "M", "M_2": "M"}, 0),
        (["M_1"], [label("M_V0", "M"), label("M_V1", "M")], {"M_1": "M"}, 0),
        (["A", "B"], [label("A", "P")], {"A": "P", "B": "P"}, 1),  # the label belongs to A
        # the film may belong to the visit without a label
        (["M_1"], [{**label("M_V5", "M"), "visits": "V0;V5"}], {"M_1": "M"}, 0),
        (["M_V5"], [{**label("M_V5", "M"), "visits": "V0;V5"}], {"M_V5": "M"}, 1),
    ],
)
def test_a_film_gets_its_own_label_or_none(films, labels, subjects, paired):
    pairs, left_over, unused = pair([knee(film) for film in films], labels, subjects)
    assert len(pairs) == paired
    assert len(left_over) == len(films) - paired and len(unused) == len(labels) - paired
