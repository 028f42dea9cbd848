"""Import a file of the original Keras 2 code; the new model has the same predictions.

The file holds weights or a whole model. Layers are recognised by the shapes of their arrays. No
code in the file is executed: the graph is built by this package, and the code of Lambda layers is
not loaded.
"""

import argparse

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError
from knee_attention.files import keep_inputs
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.fusions import FUSED_OUTPUT


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `import-legacy`."""
    with_branches = [name for name, backbone in BACKBONES.items() if backbone.taps]
    parser.add_argument("old", type=as_path, metavar="OLD.h5",
                        help="weights or a whole model of Keras 2, such as weights.hdf5")
    parser.add_argument("new", type=as_path, metavar="NEW.h5",
                        help="the file to write, .h5 or .keras")
    parser.add_argument("--backbone", required=True, metavar="NAME",
                        help=f"one of {', '.join(with_branches)}")
    parser.add_argument("--branches", required=True, nargs="+", metavar="BRANCH",
                        help="the branches in the file, of att0 att1 att2; the fusion and the "
                        "number of image channels follow from the file")
    parser.add_argument("--chosen", metavar="OUTPUT",
                        help="the output that grades (default: the first of --branches; kl for "
                        "early fusion)")
    parser.add_argument("--image-size", type=int, nargs=2, metavar=("H", "W"),
                        help="size of the training images (default: as recorded in a whole model; "
                        "for weights, the roundest size that fits the mask weights)")
    parser.add_argument("--pixel-mean", type=float, metavar="M",
                        help="mean that the old code subtracted from the 0-255 pixels; it becomes "
                        "part of the new model (default: the original code's 120.673)")
    parser.add_argument("--pixel-deviation", type=float, metavar="D",
                        help="standard deviation by which the old code divided the pixels "
                        "(default: the original code's 75.155)")


def run(options: argparse.Namespace) -> None:
    """Write the new model and print which layers it took from the old file."""
    if options.new.suffix not in (".h5", ".keras"):
        raise InputError(f"{options.new}: the name of the new model file must end in .h5 or .keras")
    keep_inputs([options.old], [options.new])
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.films.preparation import Preparation
    from knee_attention.networks.files.legacy import import_legacy
    from knee_attention.networks.files.model_files import save_model

    pixels = {"pixel_mean": options.pixel_mean, "pixel_deviation": options.pixel_deviation}
    imported = import_legacy(
        options.old, options.backbone, tuple(options.branches),
        tuple(options.image_size) if options.image_size else None,
        **{name: value for name, value in pixels.items() if value is not None},
    )  # fmt: skip
    model = imported.model
    default = FUSED_OUTPUT if FUSED_OUTPUT in model.output else options.branches[0]
    chosen = options.chosen or default
    if chosen not in model.output:
        raise InputError(f"--chosen {chosen}: expected one of {', '.join(model.output)}")
    description = {
        "name": model.name,
        "chosen": chosen,
        **Preparation().described(),
        "synthetic": False,
        "parameters": model.count_params(),
        "imported_from": options.old.name,
    }
    save_model(model, options.new, description)
    _print_summary(imported, chosen, options)


def _print_summary(imported, chosen: str, options: argparse.Namespace) -> None:
    """Print the new model, the layers taken and left out, and the command to grade with it."""
    model, file = imported.model, imported.file
    height, width = model.input.shape[1:3]
    if options.image_size:
        size_from = "from --image-size"
    elif file.image_size:
        size_from = "from the file"
    else:
        size_from = "fits its masks; --image-size sets another"
    parts = {}
    for wanted, found in imported.taken.items():
        parts.setdefault(_part(wanted), []).append(found)
    left_out = []
    if file.roles["ones"]:
        left_out.append(f"frozen convolutions of ones ({', '.join(file.roles['ones'])})")
    if file.lambdas:
        left_out.append(f"Lambda layers, code not loaded ({', '.join(file.lambdas)})")
    if file.has_optimizer:
        left_out.append("the optimizer's state")
    print(f"{options.new}: {model.name}, grades by {chosen}")
    print(f"{'image size':12} {height}x{width} ({size_from})")
    for part, found in parts.items():
        shown = found if len(found) <= 6 else [found[0], "...", found[-1]]
        print(f"{part:12} {len(found)} layers: {', '.join(shown)}")
    if file.backend == "theano":
        print(f"{'rotated':12} kernels by 180 degrees, because the file was written on Theano")
    print(f"{'left out':12} {'; '.join(left_out) or 'nothing'}")
    print(f"grade with   knee-attention grade --model {options.new} FILE")


def _part(layer: str) -> str:
    """The branch of a layer, or `"fusion"` or `"backbone"`."""
    start = layer.split("_")[0]
    if start in ("fusion", FUSED_OUTPUT):
        return "fusion"
    return start if start.startswith("att") else "backbone"
