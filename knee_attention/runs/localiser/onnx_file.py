"""Export the trained localiser to an ONNX file for `cv2.dnn` of OpenCV: float32, about 1 MB."""

import os

import keras
import numpy as np

from knee_attention.limits import LOCALISER_SIDE
from knee_attention.networks.files.onnx_export import write_graph
from knee_attention.networks.files.onnx_layers import WRITERS, Graph


def export_localiser(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the localiser as an ONNX file, which appears whole or not at all.

    The input `film` is `(1, 2, 256, 256)` float32, 0-255; the output `maps` is `(1, 5, 32, 32)`.

    Args:
        model: a model of `build_localiser`.
        path: an `.onnx` file.

    Raises:
        InputError: the package onnx is not installed, or the file cannot be written.
    """
    graph = Graph()
    graph.add("Identity", ["film"], graph.name_of(model.input))
    for layer in model.layers:
        is_upsampling = isinstance(layer, keras.layers.UpSampling2D)
        write = _upsampling if is_upsampling else WRITERS[type(layer).__name__]
        write(graph, layer)
    graph.add("Identity", [graph.name_of(model.output)], "maps")
    _, rows, columns, maps = model.output.shape
    write_graph(
        graph,
        "localiser",
        {"film": [1, 2, LOCALISER_SIDE, LOCALISER_SIDE]},
        {"maps": [1, maps, rows, columns]},
        path,
    )


def _upsampling(graph: Graph, layer: keras.layers.UpSampling2D) -> None:
    """A writer like those of `WRITERS`, for a layer that the paper's networks lack."""
    factors = graph.constant(np.array([1, 1, *layer.size], np.float32))
    graph.add(
        "Resize",
        [graph.name_of(layer.input), "", factors],
        graph.name_of(layer.output),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
