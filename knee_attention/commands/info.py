"""Show a saved model: its graph, its training and its results. Or print a DICOM report as text."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import grading_model
from knee_attention.errors import InputError, how_to_install, missing_raises
from knee_attention.files import RUN_MODEL
from knee_attention.films.preparation import CROPS_IN_WORDS, Preparation
from knee_attention.networks.fusions import described

ABOUT_TRAINING = ("data", "epochs", "batch_size", "learning_rate", "weights", "batch_norm",
                  "stability", "limit", "seed")
ABOUT_RESULTS = {"accuracy": "accuracy", "kappa_quadratic": "quadratic kappa",
                 "mean_absolute_error": "MAE"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `info`."""
    parser.add_argument("model", metavar="MODEL", type=grading_model,
                        help="an .h5, .keras or .onnx file, the folder of a run, the name of the "
                        "model that ships with the package, or a structured report that "
                        "`grade --dicom` wrote")


def run(options: argparse.Namespace) -> None:
    """Print the metadata of the file, one property per line; or the report."""
    path = options.model / RUN_MODEL if options.model.is_dir() else options.model
    from knee_attention.films.inputs import is_dicom

    if path.is_file() and is_dicom(path):
        _print_report(path)
        return
    description = _description(path)
    Preparation.recorded(description, path)  # refuses invalid metadata
    height, width = description["image_size"]
    mean, deviation = _short(description["pixel_mean"]), description["pixel_deviation"]
    rows = [
        ("file", f"{path}, {path.stat().st_size / 1e6:.1f} MB"),
        ("name", description.get("name")),
        ("imported from", description.get("imported_from")),
        ("backbone", description["backbone"]),
        ("architecture", described(description["branches"], description["fusion"])),
        ("attention", description.get("attention") if description["branches"] else None),
        ("outputs", ", ".join(description["outputs"])),
        ("grades by", description.get("chosen")),
        ("averages over", "each knee and its mirror image" if description.get("flips") else None),
        ("films", _cutting(description)),
        ("input", f"{height}x{width} grey, {_preparation(description)}"),
        ("pixels", f"mean {mean}, deviation {deviation:.2f}"),
        ("parameters", f"{description['parameters']:,}" if "parameters" in description else None),
        ("precision", description["precision"]),
        *_confidence(description),
    ]
    experiment = description.get("experiment") or {}
    if description.get("synthetic"):
        experiment = {**experiment, "data": "synthetic phantoms"}
    rows += [(name.replace("_", " "), experiment.get(name)) for name in ABOUT_TRAINING]
    for name, value in rows:
        if value is not None:
            print(f"{name:14} {value}")
    results = description.get("results")
    if results:
        origin = " (synthetic phantoms)" if description.get("synthetic") else ""
        print(f"\n{results['knees']} {results['split']} knees{origin}")
        for output, metrics in results["outputs"].items():
            print(f"{output:14} " + ", ".join(
                f"{title} {metrics[key]:.3f}" for key, title in ABOUT_RESULTS.items()
                if metrics.get(key) is not None
            ))


def _print_report(path: Path) -> None:
    not_installed = InputError(f"a DICOM report needs pydicom: {how_to_install('dicom')}")
    with missing_raises(not_installed, "pydicom"):
        from knee_attention.grading.dicom.codes import report_lines
    print(*report_lines(path), sep="\n")


def _description(path: Path) -> dict:
    if path.suffix.lower() == ".onnx":
        from knee_attention.networks.files.onnx_network import OnnxNetwork

        return OnnxNetwork(path).description
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.networks.files.model_files import read_description

    return read_description(path)


def _confidence(description: dict) -> list[tuple[str, str]]:
    """What the file records about decision rules, prediction sets and a local calibration."""
    decision, sets = description.get("decision"), description.get("prediction_sets")
    local = description.get("local_calibration")
    rows = []
    if decision:
        rows.append(("decides by", decision["default"]))
    if sets and "knees" in sets:
        rows.append(("sets from", f"{sets['knees']} knees of {sets['subjects']} persons"))
    if local:
        rows.append(("calibrated on", f"{local['data']}, {local['knees']} knees, {local['date']}"))
    return rows


def _cutting(description: dict) -> str | None:
    cutting = description.get("cutting")
    if not cutting:
        return CROPS_IN_WORDS.get((description.get("preparation") or {}).get("crop"))
    height, width = cutting["size"]
    mirrored = ", left knees mirrored" if cutting["flip_left"] else ""
    crop = cutting.get("crop", "half")
    shown = f"cut by {cutting['split']}" if crop == "half" else CROPS_IN_WORDS[crop]
    return (f"{shown}, {height}x{width}, fit {cutting['fit']}, "
            f"equalised {cutting['equalize']}{mirrored}")


def _preparation(description: dict) -> str:
    preparation = description.get("preparation")
    if not preparation:
        return "preparation not recorded: the experiments' own is used"
    displaced = ", joints displaced" if preparation.get("displaced") else ""
    return f"fit {preparation['fit']}, equalised {preparation['equalization']}{displaced}"


def _short(means: list[float]) -> str:
    return " ".join(f"{mean:.2f}" for mean in means)
