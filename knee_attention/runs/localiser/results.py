"""How well a localiser finds the joints of films whose boxes are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from knee_attention.evidence.pictures import film_with_boxes
from knee_attention.files import write_table
from knee_attention.films.image_files import write_picture
from knee_attention.films.joints import THRESHOLD, Joint, jaccard
from knee_attention.films.localiser import Localiser
from knee_attention.runs.localiser.views import BoxedFilm
from knee_attention.runs.run_folder import Run

GOOD = 0.75
"""A joint counts as well localised from this Jaccard index on (Antony et al. 2017)."""

SHOWN = 12
"""Films in a picture."""

COLUMNS = ["file", "side", "jaccard", "score", "centre_off", "x1", "y1", "x2", "y2",
           "found_x1", "found_y1", "found_x2", "found_y2"]  # fmt: skip


@dataclass(frozen=True)
class Localised:
    """One true joint and what was found of it.

    Attributes:
        film: the film.
        side: `"R"` or `"L"`.
        joint: what was found on this side; None where nothing was.
    """

    film: BoxedFilm
    side: str
    joint: Joint | None

    @property
    def jaccard(self) -> float:
        """Of the true box and the found one; 0 where none was found."""
        return jaccard(self.film.boxes[self.side], self.joint.box) if self.joint else 0.0

    @property
    def centre_off(self) -> float:
        """How far the centres lie apart, in parts of the true box's side; NaN where none was
        found."""
        if not self.joint:
            return float("nan")
        (x, y, width, height), (u, v, w, h) = self.film.boxes[self.side], self.joint.box
        apart = np.hypot(u + w / 2 - x - width / 2, v + h / 2 - y - height / 2)
        return float(apart / np.sqrt(width * height))


@dataclass(frozen=True)
class LocaliserResults:
    """The joints of a set of films."""

    joints: Sequence[Localised]

    def summary(self) -> dict:
        """Numbers over all joints: the mean, median and lowest Jaccard index, the share at or above
        0.75, the share found at all, the centres' mean distance, the lowest score found."""
        values = np.array([joint.jaccard for joint in self.joints])
        found = [joint for joint in self.joints if joint.joint]
        return {
            "joints": len(values),
            "found": len(found),
            "jaccard_mean": float(values.mean()),
            "jaccard_median": float(np.median(values)),
            "jaccard_lowest": float(values.min()),
            "jaccard_above_0.75": float((values >= GOOD).mean()),
            "centre_off_mean": float(np.mean([joint.centre_off for joint in found])) if found
            else None,
            "score_lowest": min((joint.joint.score for joint in found), default=None),
        }


def results_of(localiser: Localiser, films: Sequence[BoxedFilm]) -> LocaliserResults:
    """Look for the joints of films; only those count as found that pass the threshold."""
    joints = []
    for film in films:
        found = [j for j in localiser.joints(film.image, len(film.boxes)) if j.score >= THRESHOLD]
        for side, box in film.boxes.items():
            best = max(found, key=lambda joint: jaccard(box, joint.box), default=None)
            taken = best if best and jaccard(box, best.box) > 0 else None
            joints.append(Localised(film, side, taken))
    return LocaliserResults(joints)


def write_evidence(results: LocaliserResults, title: str, run: Run) -> None:
    """Write `joints.csv`, a row a joint, and pictures of found (blue) and true (green) boxes:
    `figures/found.png`, and the worst in `figures/failures.png`."""
    rows = []
    for joint in results.joints:
        x, y, width, height = joint.film.boxes[joint.side]
        row = {"file": joint.film.name, "side": joint.side, "jaccard": f"{joint.jaccard:.4f}",
               "x1": round(x, 1), "y1": round(y, 1), "x2": round(x + width, 1),
               "y2": round(y + height, 1)}
        if joint.joint:
            u, v, w, h = joint.joint.box
            row |= {"score": f"{joint.joint.score:.4f}", "centre_off": f"{joint.centre_off:.4f}",
                    "found_x1": round(u, 1), "found_y1": round(v, 1), "found_x2": round(u + w, 1),
                    "found_y2": round(v + h, 1)}
        rows.append(row)
    write_table(run.joints, COLUMNS, rows)
    by_film: dict[str, list[Localised]] = {}
    for joint in results.joints:
        by_film.setdefault(joint.film.name, []).append(joint)
    films = list(by_film.values())
    worst = sorted(films, key=lambda joints: min(joint.jaccard for joint in joints))
    failed = [joints for joints in worst if min(joint.jaccard for joint in joints) < GOOD]
    pictures = {"found": films[:SHOWN], "failures": (failed or worst)[:SHOWN]}
    for name, shown in pictures.items():
        write_picture(run.figure(name), _page(shown, f"{title}, {name}"))


def _page(films: Sequence[Sequence[Localised]], title: str) -> np.ndarray:
    cells = []
    for joints in films:
        film = joints[0].film
        found = [joint.joint.box for joint in joints if joint.joint]
        caption = f"{film.name}: " + ", ".join(f"{j.side} {j.jaccard:.2f}" for j in joints)
        cells.append(film_with_boxes(film.image, found, list(film.boxes.values()), caption))
    columns = min(4, len(cells))
    width = max(cell.shape[1] for cell in cells)
    cells = [np.pad(cell, ((0, 0), (0, width - cell.shape[1]), (0, 0))) for cell in cells]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)]
    page = cv2.copyMakeBorder(np.vstack(rows), 36, 0, 0, 0, cv2.BORDER_CONSTANT)
    cv2.putText(page, f"{title} (blue found, green true)", (8, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6,
                (255, 255, 255), 1, cv2.LINE_AA)
    return page
