"""The server's answers about a graded film, one function per form."""

import base64
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from starlette.responses import JSONResponse, Response

from knee_attention import __version__
from knee_attention.evidence.figures.pictures import is_flat, mask_colours
from knee_attention.films.image_files import encoded_picture
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.graded_knee import GradedKnee, seen_around
from knee_attention.grading.grader import RESEARCH_ONLY, Grader
from knee_attention.grading.rows import film_picture, knee_row
from knee_attention.limits import REGRESSION
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.files.location import FOLDER


def about_model(grader: Grader) -> dict:
    """The content of `GET /model`: the model's name, graph, rules, results and answer forms.

    `validation` has the figures of the grades that the server gives. `calibrated` is the folder's
    name of a local calibration, else None; such a model has no results, because those in its file
    are of the original calibration.
    """
    description = grader.description
    is_original = not description.get("local_calibration")
    return {
        "name": description.get("name"),
        "backbone": description.get("backbone"),
        "outputs": grader.outputs,
        "meanings": {output: _meaning(output, grader) for output in (*grader.outputs, "ensemble")},
        "chosen": grader.chosen,
        "decide": grader.decide,
        "coverage": grader.coverage,
        "calibrated": (description.get("local_calibration") or {}).get("data"),
        "image_size": grader.image_size,
        "synthetic": bool(description.get("synthetic")),
        "results": description.get("results") if is_original else None,
        "validation": grader.validation if is_original else None,
        "card": "/card" if card_of(grader) else None,
        "version": __version__,
        "forms": list(ANSWERS),
        "notice": RESEARCH_ONLY,
    }


def card_of(grader: Grader) -> Path | None:
    """The card of a model that ships with the package; None for another or a calibrated one."""
    if grader.description.get("local_calibration"):
        return None
    name = grader.description.get("name")
    return next((card for card in FOLDER.glob("*.md") if card.stem == name), None)


def _meaning(output: str, grader: Grader) -> str:
    """What an output is, in one line for a reader."""
    backbone = BACKBONES.get(grader.description.get("backbone"))
    taps = backbone.taps if backbone else {}
    if output == "ensemble":
        return f"{' and '.join(grader.outputs)} together, averaged before the softmax"
    if output == REGRESSION:
        return "the grade as one number between 0 and 4"
    if output not in grader.branches:
        which = " and ".join(grader.branches)
        return f"one grade from {which} together" if which else "the whole knee, without attention"
    tapped = f" after layer {taps[output]}" if output in taps else ""
    if len(grader.branches) == 1:
        return f"attention branch{tapped}"
    shallowest = output == min(grader.branches)
    seen = "it sees fine detail" if shallowest else "it sees more of the knee at once, but coarser"
    return f"attention branch{tapped}: {seen}"


def _rows(film: FileInMemory, grader: Grader) -> Response:
    """One row per knee, as `grade --json` prints them."""
    return JSONResponse([_row(film, knee, grader) for knee in grader.grade(film)])


def _view(film: FileInMemory, grader: Grader) -> Response:
    """The rows, each with a picture of the knee and the masks of all branches.

    `picture` and `masks` are PNG files of one size, in base64. A mask is coloured and more opaque
    where attention is higher; `attention` holds the values at its ends. The picture is the knee as
    the model saw it, but never mirrored. If the knee is a crop without padding, the picture
    includes its surroundings on the film, and `box_in_picture` is the crop in the picture's pixels.
    """
    return JSONResponse([
        {
            **_row(film, knee, grader),
            "box_in_picture": box,
            "picture": _base64(picture),
            "masks": {branch: _base64(mask) for branch, mask in masks.items()},
            "attention": {
                branch: {"lowest": float(mask.min()), "highest": float(mask.max()),
                         "nearly_flat": is_flat(mask)}
                for branch, mask in knee.branch_masks.items()
            },
        }
        for knee in grader.grade(film)
        for picture, box, masks in [_picture_of(knee)]
    ])


def _picture_of(knee: GradedKnee) -> tuple[np.ndarray, list[int] | None, dict[str, np.ndarray]]:
    """The picture, the box in it or None, and the coloured mask of every branch."""
    if knee.place and knee.place.whole:
        return seen_around(knee)
    masks = {
        branch: mask_colours(knee.as_on_film(mask), knee.image.shape)
        for branch, mask in knee.branch_masks.items()
    }
    return knee.as_on_film(knee.image), None, masks


def _picture(film: FileInMemory, grader: Grader) -> Response:
    """The picture that `grade --overlay` draws."""
    picture = film_picture(grader.grade(film), bool(grader.description.get("synthetic")))
    return Response(encoded_picture(picture), media_type="image/png")


def _reports(film: FileInMemory, grader: Grader) -> Response:
    """The report and the picture that `grade --dicom` writes, in a ZIP archive."""
    from knee_attention.grading.dicom.algorithm import Algorithm
    from knee_attention.grading.dicom.reports import file_content, reports_of

    report, picture = reports_of(film, grader.grade(film), Algorithm.of(grader))
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        archive.writestr("report_sr.dcm", file_content(report))
        archive.writestr("picture_sc.dcm", file_content(picture))
    return Response(content.getvalue(), media_type="application/zip")


def _row(film: FileInMemory, knee: GradedKnee, grader: Grader) -> dict:
    return knee_row(film.name, knee, bool(grader.description.get("synthetic")))


def _base64(image: np.ndarray) -> str:
    return base64.b64encode(encoded_picture(image)).decode("ascii")


ANSWERS: dict[str, Callable[[FileInMemory, Grader], Response]] = {
    "json": _rows,
    "view": _view,
    "png": _picture,
}
"""The forms of `POST /grade?as=`, with `dicom` if highdicom is installed. A film that cannot be
graded raises `ImageError`."""

if find_spec("highdicom"):
    ANSWERS["dicom"] = _reports
