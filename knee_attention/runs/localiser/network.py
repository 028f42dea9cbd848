"""The localiser, a network that finds knee joints on a film; and the localiser of Antony et al.

The receptive field of the localiser is the whole image, so that it distinguishes a knee from an
elbow. `films/joints.py` reads the joints from its five output maps. The localiser of Antony et al.
(MLDM 2017; the paper's Table 2) is a fully convolutional network with a receptive field of 66
pixels.
"""

import os

import keras
import numpy as np
from keras import layers, ops

from knee_attention.films.joints import CELL
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.networks.files.onnx_export import write_graph
from knee_attention.networks.files.onnx_layers import WRITERS, Graph

MAPS = ("joint", "right", "down", "side", "implant")
"""The five output maps, with cells of `CELL` pixels. `joint`: logit that the centre of a joint box
is in the cell. `right`, `down`: offset of that centre, in units of the box's side. `side`:
logarithm of the box's side over `films.joints.UNIT_SIDE`. `implant`: logit that an implant covers
the cell."""

STEM = 32, 8, 4
"""Filters, kernel size and stride of the first convolution."""

STAGES = ((40,), (56, 56), (56, 56), (56, 56))
"""Filters of the following 3x3 convolutions, with a 2x2 max-pool between stages. Two upsampling
steps with skip connections lead from cells of 32 pixels to cells of 8 (Lin et al., CVPR 2017)."""

ANTONY_STAGES = ((32,), (32, 32), (64, 64), (96, 96))
"""The same for the localiser of Antony et al., which has no stem."""


def build_localiser(precision: str | None = None) -> keras.Model:
    """Build the localiser.

    Args:
        precision: a Keras dtype policy for the stages; by default that of the calling thread. The
            maps are always float32.

    Returns:
        A model from `(batch, 256, 256, 2)` images of `films.localiser.localiser_input`, 0-255, to
        the `MAPS`, `(batch, 32, 32, 5)` float32.
    """
    films = keras.Input((LOCALISER_SIDE, LOCALISER_SIDE, 2), name="film")
    x = layers.Rescaling(1 / 127.5, -1, name="pixels", dtype=precision)(films)
    x = _convolution(x, "stem", precision, *STEM)
    stages = _stages(x, STAGES, precision)
    x = stages[-1]
    for stage in (3, 2):
        x = layers.UpSampling2D(2, name=f"enlarge{stage}", dtype=precision)(x)
        x = layers.Add(name=f"add{stage}", dtype=precision)([x, stages[stage - 1]])
        x = _convolution(x, f"up{stage}", precision, STAGES[stage - 1][-1])
    maps = layers.Conv2D(len(MAPS), 1, name="maps", dtype="float32",
                         bias_initializer=_rare_joints)(x)
    return keras.Model(films, maps, name="localiser")


def build_antony_localiser(precision: str | None = None) -> keras.Model:
    """Build the localiser of Antony et al.

    The paper's Table 2 includes its 212,769 convolution weights in the parameters of the baselines.

    Returns:
        A model from `(batch, 256, 256, 1)` equalised films, 0-255, to float32 probabilities of the
        same shape that a pixel belongs to a joint.
    """
    films = keras.Input((LOCALISER_SIDE, LOCALISER_SIDE, 1), name="film")
    x = layers.Rescaling(1 / 127.5, -1, name="pixels", dtype=precision)(films)
    x = _stages(x, ANTONY_STAGES, precision)[-1]
    x = layers.Conv2D(1, 1, name="joint", dtype="float32")(x)
    x = layers.UpSampling2D(CELL, interpolation="bilinear", name="enlarge", dtype="float32")(x)
    joints = layers.Activation("sigmoid", name="map", dtype="float32")(x)
    return keras.Model(films, joints, name="antony_localiser")


def _stages(x, stages, precision: str | None) -> list:
    """The output of each stage."""
    outputs = []
    for stage, filters in enumerate(stages, start=1):
        if stage > 1:
            x = layers.MaxPooling2D(2, name=f"pool{stage - 1}", dtype=precision)(x)
        for number, count in enumerate(filters, start=1):
            x = _convolution(x, f"conv{stage}_{number}", precision, count)
        outputs.append(x)
    return outputs


def _convolution(
    x, name: str, precision: str | None, filters: int, size: int = 3, stride: int = 1
):
    x = layers.Conv2D(filters, size, stride, padding="same", name=name, dtype=precision)(x)
    x = layers.BatchNormalization(name=f"{name}_bn", momentum=0.97, dtype=precision)(x)
    return layers.Activation("relu", name=f"{name}_relu", dtype=precision)(x)


def _rare_joints(shape, dtype=None):
    """Initial biases with low probabilities of joints and implants (Lin et al., ICCV 2017)."""
    return ops.convert_to_tensor([-4.0, 0.0, 0.0, 0.0, -4.0], dtype)


def convolution_weights(model: keras.Model) -> int:
    """Number of weights in the convolutions, which the paper counts."""
    return sum(
        layer.count_params() for layer in model.layers if isinstance(layer, layers.Conv2D)
    )


TARGETS = ("joint", "counts", "right", "down", "side", "implant", "implant_counts", "implanted")
"""Targets of `localiser_loss`. `joint` (0 to 1) and its weight `counts`; `right`, `down` and `side`
of the box; `implant` and its weight `implant_counts`; `implanted`, 1 in all cells of an image that
shows an implant."""

NEAR = 0.3
"""The box counts in cells whose joint target is at least this."""


def localiser_loss(targets, maps):
    """The loss of each image: the sum of the losses of joints, boxes and implants.

    Cells with joints are rare, so `joint` has a focal loss that is reduced near a joint (Zhou et
    al., *Objects as Points*, 2019). Boxes have the absolute error, implants cross-entropy.

    Args:
        targets: `(batch, rows, columns, 8)`, the `TARGETS`.
        maps: `(batch, rows, columns, 5)`, the `MAPS`.

    Returns:
        `(batch,)` losses.
    """
    targets = ops.cast(targets, "float32")
    joint, counts, right, down, side, implant, implant_counts, implanted = (
        targets[..., index] for index in range(len(TARGETS))
    )
    logit = maps[..., 0]
    probability = ops.sigmoid(logit)
    centre = ops.cast(joint >= 1, "float32")
    found = -ops.log_sigmoid(logit) * (1 - probability) ** 2 * centre
    empty = -ops.log_sigmoid(-logit) * probability**2 * (1 - joint) ** 4 * (1 - centre)
    joints = ops.maximum(ops.sum(centre, (1, 2)), 1.0)
    joint_loss = ops.sum((found + empty) * counts, (1, 2)) / joints

    near = joint * ops.cast(joint >= NEAR, "float32") * counts
    truth = ops.stack([right, down, side], axis=-1)
    apart = ops.abs(maps[..., 1:4] - truth) * ops.convert_to_tensor([4.0, 4.0, 2.0])
    box_loss = ops.sum(ops.sum(apart, -1) * near, (1, 2)) / ops.maximum(ops.sum(near, (1, 2)), 1.0)

    # Few images and few cells show metal, so it gets two loss terms: one for its cells, and one for
    # its presence anywhere in the image.
    metal = maps[..., 4]
    cells = implant_counts * (ops.softplus(metal) - implant * metal)
    known = ops.sum(cells, (1, 2)) / ops.maximum(ops.sum(implant, (1, 2)), 8.0)
    surest, present = ops.max(metal, (1, 2)), ops.max(implanted, (1, 2))
    anywhere = ops.softplus(surest) - present * surest
    return joint_loss + box_loss + known + anywhere


def export_localiser(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the localiser as an ONNX file of about 1 MB for OpenCV, whole or not at all.

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
