"""Fit a model's calibration to graded films of your own, and measure what it gains.

DIR has the folders 0 to 4, named after the grades by your readers, with a film of one knee in each
file. The films are graded as `grade` does; those that cannot be graded are listed and left out. At
least 25 graded films of several grades are needed. The command fits the cut points between
the grades, the temperature and the prediction sets; the weights do not change. It measures the gain
by cross-validation over persons. DIR/manifest.csv (columns file and subject) names the persons;
without it, the ids in the file names do. The films must be of three persons or more. The guarantee
of the prediction sets then holds for films like these.

--output writes the calibrated model, if it is better: a lower cross-entropy and no lower quadratic
kappa. A second calibration starts from the original one again.
"""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import add_crop, add_polarity, as_path
from knee_attention.errors import InputError
from knee_attention.files import RUN_MODEL, keep_inputs, make_folder
from knee_attention.networks.files.location import model_path

TITLES = {
    "kappa_quadratic": "quadratic kappa",
    "accuracy": "accuracy",
    "cross_entropy": "cross-entropy",
    "coverage": "coverage (nominal 90%)",
    "size": "grades in a set",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate`."""
    parser.add_argument("model", metavar="MODEL", type=as_path,
                        help="an .h5, .keras or .onnx file, the folder of a run, or the name of a "
                        "model that ships with the package")
    parser.add_argument("--data", required=True, type=as_path, metavar="DIR",
                        help="the folder with the films, DIR/0 to DIR/4")
    parser.add_argument("--output", type=as_path, metavar="NEW",
                        help="write the calibrated model into this file, with the suffix of MODEL; "
                        "a model that ships can be .onnx or .h5 (default: only measure)")
    add_polarity(parser)
    add_crop(parser)


def run(options: argparse.Namespace) -> None:
    """Grade the films, fit, print what is gained, and write the model."""
    from knee_attention.grading import local_calibration
    from knee_attention.grading.grader import load_grader
    from knee_attention.networks.files.onnx_export import onnx_package
    from knee_attention.startup import start_for

    # The name of a shipped model means the file of the suffix of NEW.
    as_keras = options.output and options.output.suffix.lower() == ".h5"
    path = model_path(options.model, ".h5" if as_keras else ".onnx")
    path = path / RUN_MODEL if path.is_dir() else path
    films = local_calibration.graded_films(options.data)
    if options.output:
        keep_inputs([path, *(film for film, _ in films)], [options.output])
        if options.output.suffix.lower() != path.suffix.lower():
            raise InputError(f"{options.output}: expected a name that ends in {path.suffix}, as "
                             f"{path.name} does")
        make_folder(options.output.parent)
        if path.suffix.lower() == ".onnx":
            onnx_package()  # a missing package is reported before the films are graded
    _refuse_training_films(path, options.data, films)
    start_for(path)
    grader = load_grader(path, options.polarity, options.crop)
    local_calibration.refuse_training_persons(grader.description, options.data, films)
    known = local_calibration.local_predictions(grader, options.data, films, "grading")
    from knee_attention.evidence.local_fit import fit_local

    fit = fit_local(known, grader.chosen, grader.calibration, grader.decide)
    print(f"{grader.description.get('name') or path.name}: {len(known)} of {len(films)} films of "
          f"{options.data} graded, {len(set(known.subjects))} persons")
    print(_table(fit))
    if not fit.is_better:
        sentence = ("the calibration is not better: by cross-validation, the cross-entropy does "
                    "not fall, or quadratic kappa falls")
        if options.output:
            raise InputError(f"{sentence}; {options.output} is not written")
        print(sentence)
    elif options.output:
        local_calibration.write_calibrated(path, options.output, grader, fit, options.data)
        print(f"{options.output}: grade with knee-attention grade --model {options.output}")
    else:
        print(f"--output NEW{path.suffix} writes the calibrated model")


def _refuse_training_films(path: Path, folder: Path, films: list[tuple[Path, int]]) -> None:
    """Refuse films that the model's run was trained on, if its folder has the record."""
    from knee_attention.runs.known_data import trained_on

    seen = trained_on(path.parent, [film for film, _ in films])
    if seen:
        raise InputError(f"{seen[0]}: the model was trained on this film ({len(seen)} of "
                         f"{len(films)} films of {folder}); leave them out")


def _table(fit) -> str:
    from knee_attention.evidence.result_lines import aligned, with_interval

    lines = {"by cross-validation": ["before", "after", "gain, with its 95% interval"]}
    for name, title in TITLES.items():
        cells = [f"{figures[name]:.3f}" if name in figures else "none"
                 for figures in (fit.before, fit.after)]
        gain = fit.gains.get(name)
        cells.append(with_interval(gain["difference"], gain["interval"], "+") if gain else "")
        lines[title] = cells
    return aligned(lines)
