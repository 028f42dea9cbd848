"""Export the trained localiser to an ONNX file for `cv2.dnn` of OpenCV: float32, about 1 MB."""

import os

import keras
import numpy as np

from knee_attention.files import written_whole
from knee_attention.limits import LOCALISER_SIDE
from knee_attention.networks.files.onnx_export import IR_VERSION, OPSET, onnx_package


def export_localiser(model: keras.Model, path: str | os.PathLike) -> None:
    """Write the localiser as an ONNX file, which appears whole or not at all.

    The input `film` is `(1, 2, 256, 256)` float32, 0-255; the output `maps` is `(1, 5, 32, 32)`.
    Batch normalisation is folded into the weights of the convolutions.

    Args:
        model: a model of `build_localiser`.
        path: an `.onnx` file.

    Raises:
        InputError: the package onnx is not installed, or the file cannot be written.
    """
    onnx = onnx_package()
    helper, arrays, nodes = onnx.helper, {}, []
    tensors = {}  # name of a Keras layer -> name of its output in the graph

    def constant(name: str, array) -> str:
        arrays[name] = np.ascontiguousarray(array, np.float32)
        return name

    for layer in model.layers:
        name = layer.name
        inputs = [tensors[other.name] for other in _before(layer)]
        tensors[name] = name
        options = {}
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            tensors[name] = inputs[0]
            continue
        if isinstance(layer, keras.layers.Rescaling):
            scaled = f"{name}_scaled"
            nodes.append(helper.make_node("Mul", [*inputs, constant("scale", layer.scale)],
                                          [scaled]))
            kind, inputs = "Add", [scaled, constant("offset", layer.offset)]
        elif isinstance(layer, keras.layers.Conv2D):
            kind = "Conv"
            kernel, bias = normalised_convolution(model, name)
            inputs += [constant(f"{name}_kernel", kernel), constant(f"{name}_bias", bias)]
            size, stride = layer.kernel_size[0], layer.strides[0]
            options = {"kernel_shape": [size] * 2, "strides": [stride] * 2,
                       "pads": [(size - stride) // 2] * 4}
        elif isinstance(layer, keras.layers.MaxPooling2D):
            kind, options = "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}
        elif isinstance(layer, keras.layers.UpSampling2D):
            inputs += ["", constant(f"{name}_factors", [1, 1, 2, 2])]
            kind = "Resize"
            options = {"mode": "nearest", "nearest_mode": "floor",
                       "coordinate_transformation_mode": "asymmetric"}
        else:
            kind = {"Add": "Add", "Activation": "Relu"}[type(layer).__name__]
        nodes.append(helper.make_node(kind, inputs, [name], **options))

    side, maps = LOCALISER_SIDE, model.output.shape
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("film", [1, 2, side, side]), ("maps", [1, maps[3], *maps[1:3]]))
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


def _before(layer) -> list:
    """The layers before a layer."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation for tensor in tensors]


def normalised_convolution(model: keras.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a convolution with its batch normalisation folded in.

    Returns:
        kernel `(filters, channels, height, width)` and bias `(filters,)`, float32.
    """
    kernel, bias = _arrays(model.get_layer(name))
    if any(layer.name == f"{name}_bn" for layer in model.layers):
        normalisation = model.get_layer(f"{name}_bn")
        gamma, beta, mean, variance = _arrays(normalisation)
        factor = gamma / np.sqrt(variance + normalisation.epsilon)
        kernel, bias = kernel * factor, (bias - mean) * factor + beta
    return kernel.transpose(3, 2, 0, 1), bias


def _arrays(layer) -> list[np.ndarray]:
    return [np.asarray(array, np.float32) for array in layer.get_weights()]
