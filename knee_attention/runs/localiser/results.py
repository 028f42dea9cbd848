"""Evaluate a localiser on films that were not used in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knee_attention.evidence.figures.pictures import film_with_boxes
from knee_attention.files import write_table
from knee_attention.films.image_files import write_picture
from knee_attention.films.joint_crops import JointCrop, joint_crops
from knee_attention.films.joints import Joint, jaccard
from knee_attention.films.localiser import Localiser
from knee_attention.runs.localiser.films import KnownFilm
from knee_attention.runs.run_folder import RunFolder

FOUND, GOOD = 0.5, 0.75
"""Jaccard indices from which a joint counts as found, and as well localised (Antony et al. 2017).
"""

NEAR_SIDE = 0.15
"""Largest relative error of a box's side that counts as right."""

SHOWN = 12
"""Films per picture."""

COLUMNS = ["set", "file", "side", "jaccard", "score", "x1", "y1", "x2", "y2",
           "found_x1", "found_y1", "found_x2", "found_y2", "refused"]  # fmt: skip


@dataclass(frozen=True)
class JointMatch:
    """A true joint and the joint that the localiser found there.

    Attributes:
        film: the film.
        index: index of the true box in the film's boxes.
        joint: the found joint; None if none overlaps the true box.
        refused: the reason why the film is refused; empty if it is not.
    """

    film: KnownFilm
    index: int
    joint: Joint | None
    refused: str = ""

    @property
    def jaccard(self) -> float:
        """Jaccard index of the true and the found box; 0 if none was found."""
        return jaccard(self.film.boxes[self.index], self.joint.box) if self.joint else 0.0

    @property
    def side_ratio(self) -> float:
        """Ratio of the found box's side to the true one's; NaN if none was found."""
        if not self.joint:
            return float("nan")
        width, height = self.film.boxes[self.index][2:]
        return self.joint.box[2] / float(np.sqrt(width * height))


def match_joints(localiser: Localiser, films: Sequence[KnownFilm]) -> list[JointMatch]:
    """Find the joints of films in the same way as grading."""
    joints = []
    for film in films:
        crops, refused = _crops(localiser, film.image)
        found = [crop.joint for crop in crops if crop.joint]
        for index, box in enumerate(film.boxes):
            best = max(found, key=lambda joint: jaccard(box, joint.box), default=None)
            near = best if best and jaccard(box, best.box) > 0 else None
            joints.append(JointMatch(film, index, near, refused))
    return joints


def summary(joints: Sequence[JointMatch]) -> dict:
    """Metrics of a set of films: shares of joints found, fit of their boxes, films refused."""
    values = np.array([joint.jaccard for joint in joints])
    ratios = np.array([joint.side_ratio for joint in joints if joint.jaccard >= FOUND])
    return {
        "films": len({id(joint.film) for joint in joints}),
        "refused": len({id(joint.film) for joint in joints if joint.refused}),
        "joints": len(values),
        "found": float((values >= FOUND).mean()),
        "jaccard_median": float(np.median(values)),
        "jaccard_above_0.75": float((values >= GOOD).mean()),
        "side_ratio_median": float(np.median(ratios)) if len(ratios) else None,
        "side_within_15%": float((abs(ratios - 1) <= NEAR_SIDE).mean()) if len(ratios) else None,
    }


def crop_summary(localiser: Localiser, crops: Sequence[KnownFilm]) -> dict:
    """Numbers of crops of joints that are recognised as crops (`taken`), and that are refused.
    """
    accepted = refused = 0
    for crop in crops:
        found, reason = _crops(localiser, crop.image)
        accepted += bool(found) and found[-1].box is None
        refused += bool(reason)
    return {"crops": len(crops), "taken": accepted, "refused": refused}


def refused_summary(localiser: Localiser, images: Sequence[np.ndarray]) -> dict:
    """Number of images without a gradable knee that are refused."""
    refused = sum(bool(_crops(localiser, image)[1]) for image in images)
    return {"images": len(images), "refused": refused}


def _crops(localiser: Localiser, image: np.ndarray) -> tuple[list[JointCrop], str]:
    """The crops of the joints, and the reason why the image is refused; one of them is empty."""
    try:
        return joint_crops(image, localiser=localiser), ""
    except ValueError as error:
        return [], str(error)


def write_evidence(measured: dict[str, Sequence[JointMatch]], run: RunFolder) -> None:
    """Write `joints.csv`, one row per joint, and pictures of each set.

    The pictures show found (blue) and true (green) boxes: `figures/found-<set>.png` the first
    films, `figures/failures-<set>.png` the worst.
    """
    rows = []
    for name, joints in measured.items():
        rows += [_row(name, joint) for joint in joints]
        by_film: dict[str, list[JointMatch]] = {}
        for joint in joints:
            by_film.setdefault(joint.film.name, []).append(joint)
        films = list(by_film.values())
        worst = sorted(films, key=lambda joints: min(joint.jaccard for joint in joints))
        for kind, shown in (("found", films), ("failures", worst)):
            page = _page(shown[:SHOWN], f"{name}, {kind}")
            write_picture(run.figure(f"{kind}-{name}"), page)
    write_table(run.joints, COLUMNS, rows)


def _row(name: str, joint: JointMatch) -> dict:
    x, y, width, height = joint.film.boxes[joint.index]
    row = {"set": name, "file": joint.film.name, "side": joint.film.sides[joint.index],
           "jaccard": f"{joint.jaccard:.4f}", "x1": round(x, 1), "y1": round(y, 1),
           "x2": round(x + width, 1), "y2": round(y + height, 1), "refused": joint.refused}
    if joint.joint:
        u, v, w, h = joint.joint.box
        row |= {"score": f"{joint.joint.score:.4f}", "found_x1": round(u, 1),
                "found_y1": round(v, 1), "found_x2": round(u + w, 1), "found_y2": round(v + h, 1)}
    return row


def _page(films: Sequence[Sequence[JointMatch]], title: str) -> np.ndarray:
    cells = []
    for joints in films:
        film = joints[0].film
        found = [joint.joint.box for joint in joints if joint.joint]
        scores = ", ".join(f"{j.film.sides[j.index] or ''} {j.jaccard:.2f}" for j in joints)
        cells.append(film_with_boxes(film.image, found, film.boxes, f"{film.name}: {scores}"))
    columns = min(4, len(cells))
    width = max(cell.shape[1] for cell in cells)
    cells = [np.pad(cell, ((0, 0), (0, width - cell.shape[1]), (0, 0))) for cell in cells]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    page = cv2.copyMakeBorder(np.vstack(rows), 36, 0, 0, 0, cv2.BORDER_CONSTANT)
    cv2.putText(page, f"{title} (blue found, green true)", (8, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6,
                (255, 255, 255), 1, cv2.LINE_AA)
    return page
