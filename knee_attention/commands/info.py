"""Say what a saved model is: its graph, how it was trained, and what it reached."""

import argparse
from pathlib import Path

from knee_attention.commands.arguments import model_named
from knee_attention.files import RUN_MODEL
from knee_attention.films.preparation import CROPS_IN_WORDS, Preparation
from knee_attention.networks.fusions import described

ABOUT_TRAINING = ("data", "epochs", "batch_size", "learning_rate", "weights", "batch_norm", "limit",
                  "seed")
ABOUT_RESULTS = {"accuracy": "accuracy", "kappa_quadratic": "quadratic kappa",
                 "mean_absolute_error": "MAE"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `info`."""
    parser.add_argument("model", metavar="MODEL", type=model_named,
                        help="an .h5, .keras or .onnx file, or the folder of a run")


def run(options: argparse.Namespace) -> None:
    """Print what the file says of itself, a line a property."""
    path = options.model / RUN_MODEL if options.model.is_dir() else options.model
    known = _description(path)
    Preparation.recorded(known, path)  # refuses what could not be shown below
    height, width = known["image_size"]
    rows = [
        ("file", f"{path}, {path.stat().st_size / 1e6:.1f} MB"),
        ("name", known.get("name")),
        ("imported from", known.get("imported_from")),
        ("backbone", known["backbone"]),
        ("architecture", described(known["branches"], known["fusion"])),
        ("outputs", ", ".join(known["outputs"])),
        ("grades by", known.get("chosen")),
        ("films", _cutting(known)),
        ("input", f"{height}x{width} grey, {_preparation(known)}"),
        ("pixels", f"mean {_short(known['pixel_mean'])}, deviation {known['pixel_deviation']:.2f}"),
        ("parameters", f"{known['parameters']:,}" if "parameters" in known else None),
        ("precision", known["precision"]),
    ]
    experiment = known.get("experiment") or {}
    if known.get("synthetic"):
        experiment = {**experiment, "data": "synthetic phantoms"}
    rows += [(name.replace("_", " "), experiment.get(name)) for name in ABOUT_TRAINING]
    for name, value in rows:
        if value is not None:
            print(f"{name:14} {value}")
    results = known.get("results")
    if results:
        origin = " (synthetic phantoms)" if known.get("synthetic") else ""
        print(f"\n{results['knees']} {results['split']} knees{origin}")
        for output, metrics in results["outputs"].items():
            print(f"{output:14} " + ", ".join(
                f"{title} {metrics[key]:.3f}" for key, title in ABOUT_RESULTS.items()
                if metrics.get(key) is not None
            ))


def _description(path: Path) -> dict:
    if path.suffix.lower() == ".onnx":
        from knee_attention.networks.files.onnx_network import OnnxNetwork

        return OnnxNetwork(path).description
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.networks.files.model_files import read_description

    return read_description(path)


def _cutting(known: dict) -> str | None:
    cutting = known.get("cutting")
    if not cutting:
        return CROPS_IN_WORDS.get((known.get("preparation") or {}).get("crop"))
    height, width = cutting["size"]
    mirrored = ", left knees mirrored" if cutting["flip_left"] else ""
    crop = cutting.get("crop", "half")
    shown = f"cut by {cutting['split']}" if crop == "half" else CROPS_IN_WORDS[crop]
    return (f"{shown}, {height}x{width}, fit {cutting['fit']}, "
            f"equalised {cutting['equalize']}{mirrored}")


def _preparation(known: dict) -> str:
    preparation = known.get("preparation")
    if not preparation:
        return "preparation not named: that of every experiment is taken"
    return f"fit {preparation['fit']}, equalised {preparation['equalization']}"


def _short(means: list[float]) -> str:
    return " ".join(f"{mean:.2f}" for mean in means)
