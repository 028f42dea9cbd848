"""Write a saved model as ONNX, which OpenCV runs: `grade` then needs no Keras or TensorFlow.

The ONNX file computes in float32. A float32 model grades as it does in Keras. A mixed_bfloat16
model, such as the one that ships with the package, may grade a knee differently if two grades have
nearly the same probability. Weights that float16 represents exactly are stored in float16.
"""

import argparse

from knee_attention.commands.arguments import as_path
from knee_attention.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    parser.add_argument("model", metavar="MODEL", type=as_path,
                        help="an .h5 or .keras file, the folder of a run, or the name of the "
                        "model that ships with the package")
    parser.add_argument("output", type=as_path, metavar="OUT.onnx", help="the file to write")


def run(options: argparse.Namespace) -> None:
    """Write the ONNX file and print how to grade with it."""
    if options.output.suffix.lower() != ".onnx":
        raise InputError(f"{options.output}: the name of an ONNX file must end in .onnx")
    from knee_attention.startup import start_keras

    start_keras()
    from knee_attention.networks.files.model_files import load_model, read_description
    from knee_attention.networks.files.onnx_export import export_onnx

    export_onnx(load_model(options.model), options.output, read_description(options.model))
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB; grade with "
          f"knee-attention grade --model {options.output}")
