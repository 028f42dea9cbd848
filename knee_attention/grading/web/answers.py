"""What the server says of a graded film, in each form that can be asked for."""

import base64
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from starlette.responses import JSONResponse, Response

from knee_attention.evidence.figures.pictures import mask_colours
from knee_attention.films.image_files import encoded_picture
from knee_attention.films.inputs import FileInMemory
from knee_attention.grading.drawing import seen_around
from knee_attention.grading.graded_knee import GradedKnee
from knee_attention.grading.grader import RESEARCH_ONLY, Grader
from knee_attention.grading.rows import film_picture, knee_row


def about_model(grader: Grader) -> dict:
    """What a model is, as `GET /model` says it."""
    known = grader.description
    return {
        "name": known.get("name"),
        "backbone": known.get("backbone"),
        "outputs": grader.outputs,
        "chosen": grader.chosen,
        "image_size": grader.image_size,
        "synthetic": bool(known.get("synthetic")),
        "forms": list(ANSWERS),
        "notice": RESEARCH_ONLY,
    }


def _rows(film: FileInMemory, grader: Grader) -> Response:
    """A row a knee, as `grade --json` prints them."""
    return JSONResponse([_row(film, knee, grader) for knee in grader.grade(film)])


def _view(film: FileInMemory, grader: Grader) -> Response:
    """The rows, each with a picture of the knee and every branch's mask in colour, the more opaque
    the higher it is; PNG files of one size, in base64. The picture is the knee as the model saw it,
    but never mirrored; where its joint was cut out and fills what the model saw, it also shows what
    lies around, and `box_in_picture` is the box in its pixels."""
    return JSONResponse([
        {
            **_row(film, knee, grader),
            "box_in_picture": box,
            "picture": _base64(picture),
            "masks": {branch: _base64(mask) for branch, mask in masks.items()},
        }
        for knee in grader.grade(film)
        for picture, box, masks in [_shown(knee)]
    ])


def _shown(knee: GradedKnee) -> tuple[np.ndarray, list[int] | None, dict[str, np.ndarray]]:
    if knee.place and knee.place.whole:
        return seen_around(knee)
    masks = {
        branch: mask_colours(knee.as_on_film(mask), knee.image.shape)
        for branch, mask in knee.low_masks.items()
    }
    return knee.as_on_film(knee.image), None, masks


def _picture(film: FileInMemory, grader: Grader) -> Response:
    """The picture that `grade --overlay` draws."""
    picture = film_picture(grader.grade(film), bool(grader.description.get("synthetic")))
    return Response(encoded_picture(picture), media_type="image/png")


def _reports(film: FileInMemory, grader: Grader) -> Response:
    """The report and the picture that `grade --dicom` writes, in a ZIP archive."""
    from knee_attention.grading.dicom.reports import file_content, reports_of

    made = reports_of(film, grader.grade(film), _algorithm(grader))
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        archive.writestr("report_sr.dcm", file_content(made.report))
        archive.writestr("picture_sc.dcm", file_content(made.picture))
    return Response(content.getvalue(), media_type="application/zip")


@lru_cache(maxsize=1)
def _algorithm(grader: Grader):
    """What the grader is; kept, because the model's file is read for it."""
    from knee_attention.grading.dicom.algorithm import Algorithm

    return Algorithm.of(grader)


def _row(film: FileInMemory, knee: GradedKnee, grader: Grader) -> dict:
    return knee_row(film.name, knee, bool(grader.description.get("synthetic")))


def _base64(image: np.ndarray) -> str:
    return base64.b64encode(encoded_picture(image)).decode("ascii")


ANSWERS: dict[str, Callable[[FileInMemory, Grader], Response]] = {
    "json": _rows,
    "view": _view,
    "png": _picture,
}
"""By the name that `POST /grade?as=` takes; `dicom` among them where its packages are installed. A
film that cannot be graded raises `ImageError`."""

if find_spec("highdicom"):
    ANSWERS["dicom"] = _reports
