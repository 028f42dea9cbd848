"""The trained localiser as an ONNX file that OpenCV's `cv2.dnn` runs: float32, under 1 MB."""

import os

import keras
import numpy as np

from knee_attention.files import written_whole
from knee_attention.networks.files.onnx_export import IR_VERSION, OPSET, onnx_package
from knee_attention.networks.localiser import STAGES, STRIDE
from knee_attention.options import LOCALISER_SIDE


def export_localiser(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the localiser as ONNX, whole or not at all.

    Its input `film` is `(1, 1, 256, 256)` float32, 0-255, its output `map` of the same shape, 0-1.
    Batch normalisation goes into the convolutions' weights: fewer nodes, the same numbers.

    Args:
        model: as `build_localiser` makes it.
        path: an `.onnx` file.

    Raises:
        InputError: the package onnx is not installed, or the file cannot be written.
    """
    onnx = onnx_package()
    helper, arrays, nodes = onnx.helper, {}, []

    def add(kind: str, inputs: list[str], output: str, **options) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    def constant(name: str, array) -> str:
        arrays[name] = np.ascontiguousarray(array, np.float32)
        return name

    scale, offset = model.get_layer("pixels").scale, model.get_layer("pixels").offset
    x = add("Mul", ["film", constant("scale", scale)], "scaled")
    x = add("Add", [x, constant("offset", offset)], "pixels")
    for stage, filters in enumerate(STAGES, start=1):
        if stage > 1:
            x = add("MaxPool", [x], f"pool{stage - 1}", kernel_shape=[2, 2], strides=[2, 2])
        for number in range(1, len(filters) + 1):
            name = f"conv{stage}_{number}"
            kernel, bias = normalised_convolution(model, name)
            inputs = [x, constant(f"{name}_kernel", kernel), constant(f"{name}_bias", bias)]
            x = add("Conv", inputs, name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            x = add("Relu", [x], f"{name}_relu")
    kernel, bias = _arrays(model.get_layer("line"))
    inputs = [x, constant("line_kernel", kernel.transpose(3, 2, 0, 1)), constant("line_bias", bias)]
    x = add("Conv", inputs, "line", kernel_shape=[1, 1])
    x = add("Resize", [x, "", constant("factors", [1, 1, STRIDE, STRIDE])], "enlarged",
            mode="linear", coordinate_transformation_mode="half_pixel")
    add("Sigmoid", [x], "map")

    shape = [1, 1, LOCALISER_SIDE, LOCALISER_SIDE]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("film", "map")
    ]
    stored = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    written = helper.make_model(
        helper.make_graph(nodes, "localiser", ends[:1], ends[1:], stored),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="knee_attention",
    )
    onnx.checker.check_model(written)
    with written_whole(path) as beside:
        onnx.save(written, beside)


def normalised_convolution(model: keras.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias, in ONNX' order of axes, of a convolution and the normalisation behind it."""
    kernel, bias = _arrays(model.get_layer(name))
    normalisation = model.get_layer(f"{name}_bn")
    gamma, beta, mean, variance = _arrays(normalisation)
    factor = gamma / np.sqrt(variance + normalisation.epsilon)
    return (kernel * factor).transpose(3, 2, 0, 1), (bias - mean) * factor + beta


def _arrays(layer) -> list[np.ndarray]:
    return [np.asarray(array, np.float32) for array in layer.get_weights()]
