"""The network that finds knee joints on a film, and the one of the paper's Table 2.

The network that ships sees the whole image, so that it tells a knee from an elbow, and gives five
maps, from which `films/joints.py` reads the joints. Antony et al. (MLDM 2017) mark the joint with a
fully convolutional network that sees 66 pixels around each point.
"""

import keras
from keras import layers, ops

from knee_attention.limits import LOCALISER_SIDE

STRIDE = 8
"""Pixels of the image a cell of the maps."""

MAPS = ("joint", "right", "down", "side", "implant")
"""The five maps: how surely a cell lies at the middle of a joint box (a logit); how far the box's
middle lies to the right and below, in parts of its side; the logarithm of its side over
`UNIT_SIDE`; and how surely an implant covers the cell (a logit)."""

UNIT_SIDE = 64
"""Pixels of the joint box whose logarithm is 0."""

STEM = 32, 8, 4
"""Filters, size and stride of the first convolution."""

STAGES = ((40,), (56, 56), (56, 56), (56, 56))
"""Filters of the 3x3 convolutions behind it; between two stages lies a 2x2 max-pool. From cells of
32 pixels it goes back up to cells of 8, adding what it saw on its way down (Lin et al., CVPR 2017).
"""

ANTONY_STAGES = ((32,), (32, 32), (64, 64), (96, 96))
"""The same of Antony's network, which has no stem."""


def build_localiser(precision: str | None = None) -> keras.Model:
    """Build the localiser.

    Args:
        precision: a Keras dtype policy for the stages; by default that of the process. The maps are
            computed in float32 in any case.

    Returns:
        A model from `(batch, 256, 256, 2)` films as `films.localiser.localiser_input` gives them,
        0-255, to `(batch, 32, 32, 5)` float32, the `MAPS`.
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
    """Build the localiser of Antony et al., whose 212,769 convolution weights the paper's Table 2
    counts into their pipelines.

    Returns:
        A model from `(batch, 256, 256, 1)` equalised films, 0-255, to maps of the same shape
        float32, 0-1: how surely a pixel belongs to a joint.
    """
    films = keras.Input((LOCALISER_SIDE, LOCALISER_SIDE, 1), name="film")
    x = layers.Rescaling(1 / 127.5, -1, name="pixels", dtype=precision)(films)
    x = _stages(x, ANTONY_STAGES, precision)[-1]
    x = layers.Conv2D(1, 1, name="joint", dtype="float32")(x)
    x = layers.UpSampling2D(STRIDE, interpolation="bilinear", name="enlarge", dtype="float32")(x)
    joints = layers.Activation("sigmoid", name="map", dtype="float32")(x)
    return keras.Model(films, joints, name="antony_localiser")


def _stages(x, stages, precision: str | None) -> list:
    """What each stage gives."""
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
    """Biases with which nearly no cell is a joint, as it is in truth (Lin et al., ICCV 2017)."""
    return ops.convert_to_tensor([-4.0, 0.0, 0.0, 0.0, -4.0], dtype)


def convolution_weights(model: keras.Model) -> int:
    """How many weights the convolutions have, which is what the paper counts."""
    return sum(
        layer.count_params() for layer in model.layers if isinstance(layer, layers.Conv2D)
    )


TARGETS = ("joint", "counts", "right", "down", "side", "implant", "implant_counts", "implanted")
"""What `localiser_loss` compares the maps with: the first map's target, 0 to 1, and its weight; the
three of the box, which count where the joint's target is `NEAR` or more; the implant's target and
its weight; and 1 throughout an image that shows an implant anywhere."""

NEAR = 0.3


def localiser_loss(targets, maps):
    """The loss of each image: where joints are, their boxes, and implants.

    Joints are few, so their cells get a focal loss that spares cells near a joint (Zhou et al.,
    *Objects as Points*, 2019); boxes the absolute error; implants cross-entropy.

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

    # Few images show metal, on few of their cells: where it is, and whether there is any at all,
    # count as much as everything else together.
    metal = maps[..., 4]
    cells = implant_counts * (ops.softplus(metal) - implant * metal)
    known = ops.sum(cells, (1, 2)) / ops.maximum(ops.sum(implant, (1, 2)), 8.0)
    surest, present = ops.max(metal, (1, 2)), ops.max(implanted, (1, 2))
    anywhere = ops.softplus(surest) - present * surest
    return joint_loss + box_loss + known + anywhere
