"""Import model files of the original Keras 2 code.

`build_model` builds a new graph, which gets the weights of the file. Layer names in such a file are
arbitrary (`conv2d_7`), so layers are matched by the shapes of their arrays and by their order:

- The layers of a branch are matched by `legacy_arrays.role`. Keras writes layers by depth, and
  layers of one depth in the order of the branches. So the second 1x1 convolution with 64 filters
  belongs to the second mask. Masks are assigned to branches by size: a shallower branch has a
  larger mask.
- The backbone's layers are matched by name if the file has all names, otherwise by order.
  ResNet-50 has these names since keras-applications 1.0.8. Older versions (`res2a_branch2a`)
  padded and normalised differently; their files are refused.
"""

import os
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import zip_longest

import keras
import numpy as np

from knee_attention.errors import InputError
from knee_attention.limits import GRADES, KNEE_SIZE, LARGEST_SIDE
from knee_attention.networks.backbones import BACKBONES
from knee_attention.networks.files.legacy_arrays import LegacyFile, read_legacy
from knee_attention.networks.files.model_files import set_all_weights
from knee_attention.networks.fusions import FUSED_OUTPUT
from knee_attention.networks.model import PIXEL_DEVIATION, PIXEL_MEAN, build_model

OTHER_POOLS = ("the original code built antony_clsf with 2x2 pools, this project uses the 3x3 "
               "pools of the paper's Table 3")


@dataclass(frozen=True)
class LegacyImport:
    """A model of `build_model` with the weights of a Keras 2 file.

    Attributes:
        model: takes 0-255 pixels and makes the same predictions as the original model.
        file: content of the file.
        taken: `{layer of the model: layer of the file}`.
    """

    model: keras.Model
    file: LegacyFile
    taken: dict[str, str]


def import_legacy(
    path: str | os.PathLike,
    backbone: str,
    branches: tuple[str, ...],
    image_size: tuple[int, int] | None = None,
    pixel_mean: float = PIXEL_MEAN,
    pixel_deviation: float = PIXEL_DEVIATION,
) -> LegacyImport:
    """Rebuild a model of the original code from its file.

    The fusion and the number of channels are inferred from the file. A model that was saved on
    Theano or CNTK keeps its predictions.

    Args:
        path: HDF5 file of Keras 2 (`weights.hdf5`), with weights or a whole model.
        backbone: a key of `BACKBONES`.
        branches: the branches in the file, in any order.
        image_size: height and width of the images. By default a whole model's own size. A file
            with only weights fits several sizes; the default is the size whose sides have the most
            factors of two.
        pixel_mean: mean that the original code subtracted from the 0-255 pixels before its model.
        pixel_deviation: the original code divided the pixels by it afterwards.

    Raises:
        InputError: no such file, a damaged file, a model of this project or of another
            architecture, or a file of another backend whose predictions would differ here.
    """
    if not (np.isfinite([pixel_mean, pixel_deviation]).all() and pixel_deviation > 0):
        raise InputError("expected a pixel mean and a positive pixel deviation. Received: "
                         f"{pixel_mean} and {pixel_deviation}")
    file = read_legacy(path)
    branches = tuple(sorted(branches))

    def build(size):
        return build_model(backbone, branches, _fusion(file, branches), size, _channels(file),
                           pixel_mean, pixel_deviation)

    known_size = image_size or file.image_size
    model = build(known_size or KNEE_SIZE)
    size = known_size or _roundest_size(file, backbone, branches) or KNEE_SIZE
    if not known_size and size != KNEE_SIZE:
        model = build(size)
    order = _branches_in_file_order(file, branches)
    pairs = _pair(file, model, order)
    _refuse_misfits(file, model, pairs)
    _refuse_other_windows(file, model)
    if backbone == "antony_clsf" and not known_size and size != KNEE_SIZE:
        raise InputError(f"{file.path}: its masks do not fit 320x224 images; {OTHER_POOLS}; if the "
                         "file has 3x3 pools, give its --image-size")
    weights = {wanted: file.layers[found] for wanted, found in pairs}
    if "fusion_dense" in weights:
        kernel, bias = weights["fusion_dense"]
        ends = np.cumsum([len(weights[f"{branch}_norm"][0]) for branch in order])
        rows = dict(zip(order, np.split(kernel, ends[:-1]), strict=True))
        weights["fusion_dense"] = [np.concatenate([rows[branch] for branch in branches]), bias]
    set_all_weights(model, weights, file.path)
    return LegacyImport(model, file, dict(pairs))


def _channels(file: LegacyFile) -> int:
    """Number of image channels: the input channels of the file's first convolution."""
    kernels = [arrays[0] for arrays in file.layers.values() if arrays[0].ndim == 4]
    return 3 if kernels and kernels[0].shape[2] == 3 else 1


def _fusion(file: LegacyFile, branches: tuple[str, ...]) -> str:
    """The fusion: early fusion has a dense layer that does not output the grades."""
    if len(branches) == 1:
        return "single"
    hidden = any(len(file.layers[name][1]) != len(GRADES) for name in file.roles["dense"])
    return "early_fusion" if hidden else "multi_loss"


def _branches_in_file_order(file: LegacyFile, branches: tuple[str, ...]) -> tuple[str, ...]:
    """The sorted `branches`, reordered as the masks in the file."""
    if len(file.masks) != len(branches):
        return branches
    places = sorted(range(len(branches)), key=lambda place: file.masks[place], reverse=True)
    return tuple(branch for _, branch in sorted(zip(places, branches, strict=True)))


def _roundest_size(file: LegacyFile, backbone: str, branches: tuple[str, ...]) -> tuple | None:
    """The image size that fits the file's masks and whose sides have the most factors of two."""
    images = keras.Input((None, None, 1))
    chosen = BACKBONES[backbone]
    network = keras.Model(images, chosen.build(images))
    features = {branch: network.get_layer(chosen.taps[branch]).output for branch in branches}
    taps = keras.Model(images, features)  # without the layers behind the deepest tap

    def mask_sides(side):
        shapes = taps.compute_output_shape((None, side, side, 1))
        return tuple(shapes[branch][1] for branch in branches)

    sides, size = range(BACKBONES[backbone].smallest, LARGEST_SIDE + 1), []
    for wanted in zip(*sorted(file.masks, reverse=True), strict=True):
        first = bisect_left(sides, wanted, key=mask_sides)
        fitting = sides[first : bisect_right(sides, wanted, key=mask_sides)]
        size.append(max(fitting, key=lambda side: side & -side, default=None))
    return tuple(size) if all(size) else None


def _pair(file: LegacyFile, model: keras.Model, order: tuple[str, ...]) -> list[tuple]:
    """Pairs `(layer of the model, layer of the file)`; None where a layer has no partner."""
    prefixes = (*(f"{branch}_" for branch in order), "fusion")
    backbone = [layer.name for layer in model.layers if layer.weights
                and not layer.name.startswith(prefixes) and layer.name not in model.output]
    named = set(backbone) if file.layers.keys() >= set(backbone) else set()
    found = [name for name in file.layers if name in named or name in file.roles["backbone"]]
    if named:
        backbone = [name for name in found if name in named]
    pairs = list(zip_longest(backbone, found))
    for role in ("norm", "conv1", "conv2", "mask"):
        found = [name for name in file.roles[role] if name not in named]
        pairs += zip_longest([f"{branch}_{role}" for branch in order], found)
    heads = ("fusion_dense", FUSED_OUTPUT) if FUSED_OUTPUT in model.output else order
    return pairs + list(zip_longest(heads, file.roles["dense"]))


def _refuse_misfits(file: LegacyFile, model: keras.Model, pairs: list[tuple]) -> None:
    """Raise an `InputError` unless every layer has a partner of the same shapes."""
    misfits, only_masks = [], True
    for wanted, found in pairs:
        weights = model.get_layer(wanted).weights if wanted else []
        expected = [tuple(weight.shape) for weight in weights]
        given = [array.shape for array in file.layers[found]] if found else []
        if given != expected:
            ours = f"{wanted} {expected}" if wanted else "no layer"
            misfits.append(ours + (f" for its {found} {given}" if found else " not found"))
            if not wanted or not wanted.endswith("_mask"):
                only_masks = False
    shown = "; ".join(misfits[:3])
    if len(misfits) > 3:
        shown += f"; and {len(misfits) - 3} more"
    if not only_masks:
        raise InputError(f"{file.path}: another architecture than {model.name}: {shown}")
    hint = f"; {OTHER_POOLS}" if model.name.startswith("antony_clsf") else ""
    pools = [layer.pool_size for layer in model.layers
             if isinstance(layer, keras.layers.MaxPooling2D)]
    if file.pools not in (None, pools):
        raise InputError(f"{file.path}: has the pools {file.pools}; {model.name} has {pools}{hint}")
    if misfits:
        size = "{}x{}".format(*model.input.shape[1:3])
        raise InputError(f"{file.path}: its masks do not fit {size} images ({shown}); give the "
                         f"--image-size of its training{hint}")


def _refuse_other_windows(file: LegacyFile, model: keras.Model) -> None:
    """Refuse a model whose strided convolutions would be shifted by one pixel.

    Theano and CNTK pad a convolution by half its kernel. TensorFlow pads a strided convolution less
    at the top and left if the image's sides are even.

    Raises:
        InputError: the model has such a convolution. No change of weights corrects the shift.
    """
    if file.backend not in ("theano", "cntk"):
        return
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D) or layer.padding != "same":
            continue
        sides = zip(layer.input.shape[1:3], layer.kernel_size, layer.strides, strict=True)
        for side, kernel, stride in sides:
            padded = max(0, (-(-side // stride) - 1) * stride + kernel - side)
            if padded // 2 != kernel // 2:
                raise InputError(f"{file.path}: written on {file.backend}, which pads the "
                                 f"convolution {layer.name} differently from TensorFlow; its "
                                 "predictions would differ here")
