import os

import cv2
import numpy as np
import pytest

from knee_attention.evidence.figures import curves, panels
from knee_attention.evidence.figures.pictures import captioned


def inked(path):
    """Share of the picture that is not white; fails if the file is not a picture."""
    return (cv2.imread(str(path)) < 250).any(axis=2).mean()


def test_learning_curves_show_every_output(tmp_path):
    history = [
        {"epoch": epoch, "val_loss": 2 / epoch}
        | {f"{prefix}{output}_{quantity}": 1 / epoch
           for prefix in ("", "val_") for output in ("att0", "att1")
           for quantity in ("loss", "accuracy")}
        for epoch in (1, 2, 3)
    ]
    curves.learning_curves(history, ["att0", "att1"], "run", tmp_path / "two.png")
    curves.learning_curves(history, ["att0"], "run", tmp_path / "one.png")
    assert inked(tmp_path / "two.png") > inked(tmp_path / "one.png") > 0.01


def test_mask_panels_have_a_row_a_knee_and_a_column_a_branch(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (3, 64, 48)).astype(np.uint8)
    mask = np.random.default_rng(1).random((3, 8, 6)).astype(np.float32)
    for branches in (1, 2):
        panels.mask_panels(
            images,
            {f"att{number}": mask for number in range(branches)},
            np.array([0, 2, 4]),
            np.full((3, 5), 0.2),
            ["a.png", "$b_.png", os.fsdecode(b"c\xff.png")],
            "run",
            tmp_path / f"{branches}.png",
        )
    one, two = (cv2.imread(str(tmp_path / f"{branches}.png")).shape for branches in (1, 2))
    assert two[1] > one[1] and two[0] == one[0]


def test_every_row_says_what_it_shows(tmp_path, monkeypatch):
    """File, branches, lowest and highest value, a nearly flat mask, and what blue means."""
    kept = []
    monkeypatch.setattr(panels, "save", lambda figure, *_: kept.append(figure))
    masks = {"att0": np.full((2, 4, 4), 0.5), "att1": np.full((2, 4, 4), 0.25)}
    masks["att0"][:, 0, 0], masks["att1"][:, 0, 0] = 0.59, 0.9
    panels.mask_panels(np.zeros((2, 64, 48), np.uint8), masks, np.array([0, 4]),
                       np.full((2, 5), 0.2), ["0/a.png", "4/b.png"], "run", tmp_path / "x.png")
    [figure] = kept
    for row, file in enumerate(("a.png", "b.png")):
        shown = figure.axes[6 * row : 6 * row + 6]
        assert [axes.get_title() for axes in shown] == [
            file, "att0 (nearly flat)", "att0 over knee", "att1", "att1 over knee",
            "probability of grade (blue: true)",
        ]  # fmt: skip
        numbers = [[text.get_text() for text in shown[place].child_axes[0].texts]
                   for place in (1, 3)]  # fmt: skip
        assert numbers == [["0.50", "0.59"], ["0.25", "0.90"]]
        blue = shown[5].patches[(0, 4)[row]].get_facecolor()
        assert blue[2] > blue[0] and len({bar.get_facecolor() for bar in shown[5].patches}) == 2


def test_confusion_matrix_is_drawn_with_empty_rows(tmp_path):
    confusion = np.diag([5, 0, 3, 2, 1]).tolist()
    curves.confusion_matrix(confusion, "run", tmp_path / "confusion.png")
    assert inked(tmp_path / "confusion.png") > 0.05


def test_the_reliability_diagram_shows_how_far_off_a_model_is(tmp_path):
    grades = np.arange(50) % 5
    right = np.eye(5)[grades] * 0.9 + 0.02
    wrong = np.roll(right, 1, axis=1)
    for name, probabilities in (("right", right), ("wrong", wrong)):
        curves.reliability_diagram(grades, probabilities, "run", tmp_path / f"{name}.png")
    right, wrong = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("right", "wrong"))
    bars = [(abs(image.astype(int) - (0xE5, 0xC9, 0x9C)).max(axis=2) < 8).sum()
            for image in (right, wrong)]  # fmt: skip
    assert bars[0] > 20 * max(bars[1], 1)


@pytest.mark.parametrize("name", ["knees_$1_$2", r"$\frac$ {} \x", os.fsdecode(b"knees\xff")])
def test_a_name_is_drawn_whatever_it_is(tmp_path, name):
    curves.confusion_matrix(np.eye(5, dtype=int).tolist(), name, tmp_path / "confusion.png")
    assert inked(tmp_path / "confusion.png") > 0.05


def test_figures_are_vectors_too_where_asked_for(tmp_path):
    confusion = np.diag([5, 0, 3, 2, 1]).tolist()
    curves.confusion_matrix(confusion, "run", tmp_path / "confusion.png", pdf=True)
    assert (tmp_path / "confusion.pdf").read_bytes().startswith(b"%PDF")
    assert inked(tmp_path / "confusion.png") > 0.05


def test_a_loss_that_was_no_number_does_not_stop_the_drawing(tmp_path):
    history = [
        {"epoch": epoch, "val_loss": loss}
        | {f"{prefix}att0_{quantity}": loss for prefix in ("", "val_")
           for quantity in ("loss", "accuracy")}
        for epoch, loss in ((1, 0.5), (2, float("nan")))
    ]
    curves.learning_curves(history, ["att0"], "run", tmp_path / "curves.png")
    assert inked(tmp_path / "curves.png") > 0.01


def test_a_caption_fits_below_a_narrow_picture():
    """Without attention there is only the knee."""
    picture = captioned(np.zeros((320, 224), np.uint8), {}, "right knee: KL 3 (P 0.58 by kl), syn"
                        "thetic model")  # fmt: skip
    drawn = np.flatnonzero(picture.max(axis=(0, 2)))
    assert drawn[-1] < picture.shape[1] - 8 and len(drawn) > 200
