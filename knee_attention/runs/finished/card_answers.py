"""The answers to reporting checklists in the card of a shipped model, from published files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from knee_attention.datasets.dataset import load_dataset
from knee_attention.datasets.persons import known_positions, number_of_persons
from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import FinishedRun, metrics_with_intervals
from knee_attention.evidence.metrics import grade_metrics
from knee_attention.evidence.model_card import confusion_table, with_answers
from knee_attention.evidence.predictions import Predictions
from knee_attention.evidence.result_lines import with_interval
from knee_attention.evidence.tables.common import CHOSEN, by_chosen, markdown_rows
from knee_attention.files import write_table, written_whole
from knee_attention.films.legs import side_of
from knee_attention.films.localiser import SHIPPED
from knee_attention.limits import GRADES
from knee_attention.networks.files.model_files import read_description
from knee_attention.runs.finished.published_runs import read_runs
from knee_attention.runs.finished.published_set import PublishedSet
from knee_attention.runs.finished.results_page import other_hospitals_section, robustness_section

FOCUS = "focus.csv"

NOT_MEASURED = "Not measured."

FIGURES = ("accuracy", "kappa_quadratic", "mean_absolute_error")
"""The metrics of a subgroup."""


def publish_focus(published: Path, run: str, data: str) -> None:
    """Write `focus.csv`: how sharp the knees of a published run are.

    The focus of a knee is the standard deviation of the Laplacian of the network's image. Images
    are equalised, so exposure plays little part; noise counts as sharpness.

    Args:
        published: a folder of published runs.
        run: a run among them.
        data: the data set of the run.

    Raises:
        InputError: the run is not published, or the data lack its knees.
    """
    found = _published_run(read_runs(published), run, published)
    knees = load_dataset(
        data, tuple(found.experiment["image_size"]), wanted=(found.split,),
        polarity=found.experiment["polarity"],
    ).splits[found.split]  # fmt: skip
    places = {file: place for place, file in enumerate(knees.files)}
    missing = [file for file in found.predictions.files if file not in places]
    if missing:
        raise InputError(f"{data}: no {missing[0]}, which the run {run} graded")
    images = ((file, knees.images[places[file]]) for file in found.predictions.files)
    rows = ({"file": file, "focus": f"{cv2.Laplacian(image, cv2.CV_32F).std():.2f}"}
            for file, image in images)  # fmt: skip
    write_table(published / FOCUS, ["file", "focus"], rows)


def answer_checklists(
    folder: Path, name: str, published: Path, run: str, template: str
) -> str:
    """Write the answers into the card of a shipped model, in place of earlier answers.

    Args:
        folder: the folder of the model's files `<name>.h5` and `<name>.onnx` and its card.
        name: the name of the model.
        published: a folder of published runs.
        run: the model's run among them.
        template: the answers in Markdown; fields in braces take the figures.

    Returns:
        the card.

    Raises:
        InputError: a file is missing or damaged, the run is not published or has other validation
            results than the model file, or the template has an unknown field.
    """
    model, graph, card = (folder / f"{name}{suffix}" for suffix in (".h5", ".onnx", ".md"))
    for path in (model, graph, card):
        if not path.is_file():
            raise InputError(f"{path}: no such file; make the model first")
    runs = read_runs(published)
    found, description = _published_run(runs, run, published), read_description(model)
    _refuse_another_run(found, description, model, run)
    tables = PublishedSet(published)
    inverted = {row["file"] for row in tables.table("inverted.csv").rows}
    unreadable = len(tables.table("unreadable.csv").rows)
    fields = {
        "run": run,
        "files": markdown_rows(("file", "MB", "SHA-256"), [*map(_file, (model, graph, SHIPPED))]),
        "left_out": f"{unreadable} that could not be read" if unreadable else "none",
        "other_hospitals": other_hospitals_section(published) or NOT_MEASURED,
        "robustness": robustness_section(published) or NOT_MEASURED,
        "inverted_training": sum(file.startswith("train/") for file in inverted),
        "inverted_validation": sum(file.startswith("validation/") for file in inverted),
        **_run_fields(found),
        **_split_fields(found.predictions, description),
        **_result_fields(by_chosen(found), inverted, _focus(tables, found.predictions.files)),
    }
    try:
        answers = template.format_map(fields)
    except KeyError as error:
        raise InputError(f"the template of the answers has an unknown field {error}") from None
    text = with_answers(card.read_text(encoding="utf-8"), answers)
    with written_whole(card) as beside:
        beside.write_text(text, encoding="utf-8")
    return text


def _published_run(runs: Mapping[str, FinishedRun], run: str, published: Path) -> FinishedRun:
    if run not in runs:
        raise InputError(f"{published}: no published run {run}")
    return runs[run]


def _refuse_another_run(found: FinishedRun, description: Mapping, file: Path, run: str) -> None:
    if found.split != "validation":
        raise InputError(f"{run}: reports its {found.split} split; the card is about validation")
    recorded = (description.get("results") or {}).get("outputs", {})
    same = found.outputs.keys() == recorded.keys() and all(
        np.isclose(found.outputs[output]["accuracy"], metrics["accuracy"])
        for output, metrics in recorded.items()
    )
    if not same:
        raise InputError(f"{file}: its validation results are not those of the run {run}")


def _file(path: Path) -> list[str]:
    content = path.read_bytes()
    return [path.name, f"{len(content) / 1e6:.1f}", f"`{hashlib.sha256(content).hexdigest()}`"]


def _run_fields(found: FinishedRun) -> dict:
    """How the run was made."""
    height, width = found.experiment["image_size"]
    versions = found.environment["versions"].items()
    return {
        "pixels": f"{height}x{width}",
        "parameters": f"{found.results['parameters']:,}",
        "outputs": " and ".join(found.predictions.probabilities),
        "chosen": found.chosen,
        "software": ", ".join(f"{package} {version}" for package, version in versions),
    }


def _split_fields(known: Predictions, description: Mapping) -> dict:
    """Knees and persons of each split."""
    trained = description["training_persons"]
    persons = len(set(known.subjects))
    counts = np.bincount(known.grades, minlength=len(GRADES))
    splits = [
        ("training", number_of_persons(trained), description["decision"]["grade_counts"]),
        ("validation", persons, counts),
    ]
    rows = [
        [split, f"{sum(knees):,}", f"{of:,}", *(f"{count:,}" for count in knees)]
        for split, of, knees in splits
    ]
    columns = ("split", "knees", "persons", *(f"grade {grade}" for grade in GRADES))
    shared = {known.subjects[place] for place in known_positions(trained, known.subjects)}
    return {"splits": markdown_rows(columns, rows), "persons": persons, "shared": len(shared)}


def _focus(published: PublishedSet, files: list[str]) -> np.ndarray | None:
    """The focus of these knees in `focus.csv`; None without that file."""
    rows = published.table(FOCUS).rows
    if not rows:
        return None
    try:
        of_file = {row["file"]: float(row["focus"]) for row in rows}
        return np.array([of_file[file] for file in files])
    except (KeyError, ValueError):
        raise InputError(f"{published.path(FOCUS)}: not the focus of these knees; measure it again "
                         "with --data") from None


def _result_fields(known: Predictions, inverted: set[str], focus: np.ndarray | None) -> dict:
    """Results of subgroups, and mistakes.

    Args:
        known: predictions by the output `CHOSEN` alone.
        inverted: files of the photographic negatives.
        focus: `(n,)` focus of each knee; None if it was not measured.
    """
    sides = np.array([side_of(file) for file in known.files])
    negative = np.array([file in inverted for file in known.files])
    groups = {
        "all": np.full(len(known), True),
        "left knees": sides == "L",
        "right knees": sides == "R",
        "negatives, inverted": negative,
        "other images": ~negative,
    } | {f"true grade {grade}": known.grades == grade for grade in GRADES}
    if focus is not None:
        third = np.searchsorted(np.quantile(focus, (1 / 3, 2 / 3)), focus)
        groups |= {f"focus, {name} third": third == place
                   for place, name in enumerate(("least sharp", "middle", "sharpest"))}  # fmt: skip
    columns = ("subgroup", "knees", "persons", "accuracy", "quadratic kappa", "error in grades")
    rows = [_subgroup(group, known.take(np.flatnonzero(chosen)))
            for group, chosen in groups.items() if chosen.any()]  # fmt: skip
    confusion = np.array(grade_metrics(known.grades, known.of(CHOSEN))["confusion"])
    by_distance = [
        sum(np.trace(confusion, offset) for offset in {distance, -distance}) for distance in GRADES
    ]
    mistakes = ", ".join(f"{knees} by {distance}" for distance, knees in enumerate(by_distance)
                         if distance and knees)  # fmt: skip
    return {
        "subgroups": markdown_rows(columns, rows),
        "confusion": confusion_table(confusion),
        "mistakes": f"{sum(by_distance[1:])} of {len(known)} grades are wrong, by so many grades: "
        f"{mistakes}.",
    }


def _subgroup(name: str, known: Predictions) -> list[str]:
    found = metrics_with_intervals(known.grades, known.of(CHOSEN), known.subjects)
    one_grade = len(set(known.grades)) == 1
    figures = [
        "" if one_grade and metric == "kappa_quadratic"
        else with_interval(found[metric], found["intervals"][metric])
        for metric in FIGURES
    ]  # fmt: skip
    return [name, f"{len(known)}", f"{len(set(known.subjects))}", *figures]
