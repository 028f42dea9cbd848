"""Read finished runs for the report, and draw pictures of their mistakes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from knee_attention.errors import InputError
from knee_attention.evidence.figures.pictures import beside_masks
from knee_attention.evidence.finished_run import FinishedRun, ReportedRun, worst_mistakes
from knee_attention.evidence.metrics import SCALARS
from knee_attention.evidence.report.sections import FIGURES
from knee_attention.networks.files.model_files import load_model, read_description
from knee_attention.runs.finished.saved_model import KneeSource, knee_source, open_saved
from knee_attention.runs.measure import measure
from knee_attention.runs.run_folder import RunFolder

SHOWN_SETTINGS = ("branches", "fusion", "data", "image_size", "limit", "seed")
SHOWN_RESULTS = ("name", "backbone", "variant", "synthetic", "knees", "subjects", "parameters",
                 "epochs", "chosen")  # fmt: skip
SHOWN_METRICS = (*SCALARS, "intervals", "per_grade")
PHOTOGRAPH = 90
LOSSLESS = 101
"""WebP qualities: for photographs, and the number for lossless files in OpenCV."""


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """Read the folders of finished runs.

    Raises:
        InputError: no run, an unfinished or damaged run, or a duplicate.
    """
    places = [folder.resolve() for folder in folders]
    for position, place in enumerate(places):
        if place in places[:position]:
            raise InputError(f"{folders[position]}: the run is given twice")
    runs = [_read(folder) for folder in folders]
    for labels in (
        [run.results["name"] for run in runs],
        [place.name for place in places],
        [str(folder) for folder in folders],
    ):
        if len(set(labels)) == len(labels):
            break
    return [
        dataclasses.replace(run, label=label) for run, label in zip(runs, labels, strict=True)
    ]


def _read(folder: Path) -> ReportedRun:
    run = RunFolder(folder)
    found = run.read()
    _refuse_incomplete(folder, found)
    read_description(run.model)
    figures = {name: _figure(run.figure(name)) for name in FIGURES}
    return ReportedRun(
        **vars(found),
        label=found.results["name"],
        folder=folder,
        figures={name: webp for name, webp in figures.items() if webp},
    )


def _refuse_incomplete(folder: Path, found: FinishedRun) -> None:
    """Raise an `InputError` if an entry that the page shows is missing."""
    try:
        wanted = [(found.experiment, name) for name in SHOWN_SETTINGS]
        wanted += [(found.results, name) for name in SHOWN_RESULTS]
        wanted += [(metrics, name) for metrics in found.outputs.values() for name in SHOWN_METRICS]
        wanted.append((found.outputs, found.chosen))
        for holder, name in wanted:
            holder[name]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: a damaged run or one of an earlier version (missing {error})"
                         ) from None


def _figure(path: Path) -> bytes | None:
    """A figure as WebP, a third of the size of the PNG; None if it is missing or damaged."""
    content = path.read_bytes() if path.is_file() else b""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        return None
    return min((_webp(image, quality) for quality in (LOSSLESS, PHOTOGRAPH)), key=len)


def _webp(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def with_mistakes(runs: list[ReportedRun], count: int) -> list[ReportedRun]:
    """The runs with their worst mistakes, and pictures of them if knees and model are available.

    Args:
        runs: as `read_runs` returns them.
        count: maximum number of mistakes per run.
    """
    sources: dict[KneeSource, KneeSource] = {}  # runs on the same knees share what was read
    reported = []
    for run in runs:
        worst = worst_mistakes(run.predictions, run.chosen, count)
        run = dataclasses.replace(run, mistakes=worst)
        reported.append(_drawn(run, sources) if worst else run)
    return reported


def _drawn(run: ReportedRun, sources: dict[KneeSource, KneeSource]) -> ReportedRun:
    setting = run.experiment
    try:
        saved = open_saved(run.folder)
        source = knee_source(saved, setting["data"], run.split, setting["limit"], setting["seed"],
                             setting.get("polarity", "auto"))
        source = sources.setdefault(source, source)
        knees = source.knees(saved.image_size)
        model = load_model(saved.path)
    except InputError as error:
        return dataclasses.replace(run, unshown=str(error))
    places = {knee: place for place, knee in enumerate(zip(knees.files, knees.grades, strict=True))}
    found = [places.get((mistake.file, mistake.grade)) for mistake in run.mistakes]
    there = np.array([place for place in found if place is not None], int)
    if len(there) == 0:
        return dataclasses.replace(run, unshown=f"{source.title} does not contain these knees")
    shown = knees.take(there)
    masks = measure(model, shown).masks
    pictures = (
        _webp(beside_masks(image, {branch: values[place] for branch, values in masks.items()}),
              PHOTOGRAPH)
        for place, image in enumerate(shown.images)
    )  # fmt: skip
    mistakes = tuple(
        mistake if place is None else dataclasses.replace(mistake, picture=next(pictures))
        for mistake, place in zip(run.mistakes, found, strict=True)
    )
    missing = "" if None not in found else f"{source.title} does not contain them"
    return dataclasses.replace(run, mistakes=mistakes, branches=tuple(masks), unshown=missing)
