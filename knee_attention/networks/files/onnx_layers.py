"""Keras layers as nodes of an ONNX graph: each layer type of `build_model` has its own writer."""

import numpy as np

from knee_attention.networks.files.onnx_content import FLOAT

SMALL = 1024
"""Smaller arrays are always stored in float32."""

ACTIVATIONS = {"linear": "Identity", "relu": "Relu", "sigmoid": "Sigmoid", "softmax": "Softmax"}
"""Operators by the name of a Keras activation."""

OPTIONS = {"data_format": "channels_last", "dilation_rate": (1, 1), "groups": 1, "keepdims": False}
"""Options of layers, with the only values that the writers support."""


class Graph:
    """The nodes and constant arrays written so far, and the names of the tensors.

    Attributes:
        nodes: `(operator, (inputs, outputs), attributes)` of every node.
        arrays: constant arrays by name.
    """

    def __init__(self):
        self.nodes, self.arrays, self._names = [], {}, {}

    def name_of(self, tensor) -> str:
        """The name of a Keras tensor in the ONNX graph."""
        return self._names.setdefault(id(tensor), f"tensor{len(self._names)}")

    def add(self, kind: str, inputs: list[str], output: str | None = None, **options) -> str:
        """Add a node with one output; returns the output's name, a new one by default."""
        output = output or f"inner{len(self.nodes)}"
        self.nodes.append((kind, (inputs, [output]), options))
        return output

    def constant(self, array: np.ndarray) -> str:
        """Add a constant, as float32 unless it has integers; returns the name of its tensor."""
        name = f"array{len(self.arrays)}"
        if np.issubdtype(array.dtype, np.integer):
            self.arrays[name] = array
            return name
        self.arrays[name] = whole = np.ascontiguousarray(array, np.float32)
        with np.errstate(over="ignore"):
            half = whole.astype(np.float16)
        if whole.size < SMALL or not np.array_equal(half, whole):
            return name
        self.arrays[name] = half
        return self.add("Cast", [name], to=FLOAT)

    def activate(self, inner: str, layer) -> None:
        """Add the activation of a layer, from the tensor `inner` to the layer's output."""
        kind = ACTIVATIONS[layer.activation.__name__]
        options = {"axis": 1} if kind == "Softmax" else {}
        self.add(kind, [inner], self.name_of(layer.output), **options)


def _arrays(layer) -> list[np.ndarray]:
    return [np.asarray(array, np.float32) for array in layer.get_weights()]


def _window(layer, size: tuple[int, int]) -> dict[str, list[int]]:
    """The attributes of a convolution or pooling with a window of that height and width.

    The padding is written in numbers: OpenCV 5.0 computes SAME_UPPER wrongly if it is odd.
    """
    totals = [0, 0]
    if layer.padding == "same":
        sides = zip(layer.input.shape[1:3], size, layer.strides, strict=True)
        totals = [max(0, (-(-side // step) - 1) * step + width - side)
                  for side, width, step in sides]
    before = [total // 2 for total in totals]
    after = [total - half for total, half in zip(totals, before, strict=True)]
    return {"kernel_shape": list(size), "strides": list(layer.strides), "pads": before + after}


def _convolution(graph, layer) -> None:
    kernel, *bias = _arrays(layer)
    inputs = [graph.name_of(layer.input), graph.constant(kernel.transpose(3, 2, 0, 1))]
    inputs += [graph.constant(array) for array in bias]
    inner = graph.add("Conv", inputs, **_window(layer, layer.kernel_size))
    graph.activate(inner, layer)


def _max_pooling(graph, layer) -> None:
    inputs, output = [graph.name_of(layer.input)], graph.name_of(layer.output)
    graph.add("MaxPool", inputs, output, **_window(layer, layer.pool_size))


def _batch_normalisation(graph, layer) -> None:
    arrays = [graph.constant(array) for array in _arrays(layer)]
    inputs = [graph.name_of(layer.input), *arrays]
    output = graph.name_of(layer.output)
    graph.add("BatchNormalization", inputs, output, epsilon=float(layer.epsilon))


def _zero_padding(graph, layer) -> None:
    (top, bottom), (left, right) = layer.padding
    pads = graph.constant(np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    graph.add("Pad", [graph.name_of(layer.input), pads], graph.name_of(layer.output))


def _rescaling(graph, layer) -> None:
    offset = np.reshape(np.asarray(layer.offset, np.float32), (1, -1, 1, 1))
    scaled = graph.add(
        "Mul", [graph.name_of(layer.input), graph.constant(np.float32(layer.scale))]
    )
    graph.add("Add", [scaled, graph.constant(offset)], graph.name_of(layer.output))


def _several(kind: str, **options):
    def write(graph, layer) -> None:
        inputs = [graph.name_of(tensor) for tensor in layer.input]
        graph.add(kind, inputs, graph.name_of(layer.output), **options)

    return write


def _activation(graph, layer) -> None:
    graph.activate(graph.name_of(layer.input), layer)


def _dense(graph, layer) -> None:
    inputs = [graph.name_of(layer.input), *map(graph.constant, _arrays(layer))]
    graph.activate(graph.add("Gemm", inputs), layer)


def _flatten(graph, layer) -> None:
    # Keras flattens in the order rows, columns, channels; in ONNX the channels come first.
    moved = graph.add("Transpose", [graph.name_of(layer.input)], perm=[0, 2, 3, 1])
    graph.add("Flatten", [moved], graph.name_of(layer.output))


def _nothing(graph, layer) -> None:
    graph.add("Identity", [graph.name_of(layer.input)], graph.name_of(layer.output))


def _locally_connected(graph, layer) -> None:
    kernel, bias = _arrays(layer)
    _, height, width, channels = layer.input.shape
    kernel = kernel[..., 0].reshape(height, width, channels).transpose(2, 0, 1)
    product = graph.add("Mul", [graph.name_of(layer.input), graph.constant(kernel[np.newaxis])])
    axis = graph.constant(np.array([1], np.int64))
    total = graph.add("ReduceSum", [product, axis], keepdims=1)
    bias = graph.constant(bias.transpose(2, 0, 1)[np.newaxis])
    graph.activate(graph.add("Add", [total, bias]), layer)


def _attention_pooling(graph, layer) -> None:
    features, mask = (graph.name_of(tensor) for tensor in layer.input)
    axes = graph.constant(np.array([2, 3], np.int64))
    weighted = graph.add("ReduceSum", [graph.add("Mul", [features, mask]), axes], keepdims=0)
    area = graph.add("ReduceSum", [mask, axes], keepdims=0)
    area = graph.add("Max", [area, graph.constant(np.float32([[1e-7]]))])
    graph.add("Div", [weighted, area], graph.name_of(layer.output))


def _global_pooling(graph, layer) -> None:
    _, height, width, _ = layer.input.shape
    axes = graph.constant(np.array([2, 3], np.int64))
    total = graph.add("ReduceSum", [graph.name_of(layer.input), axes], keepdims=0)
    share = graph.constant(np.float32([[1 / (height * width)]]))
    graph.add("Mul", [total, share], graph.name_of(layer.output))


def _input(graph, layer) -> None:
    """The model's input, which the first node reads."""


WRITERS = {
    "Activation": _activation,
    "Add": _several("Sum"),
    "AttentionPooling2D": _attention_pooling,
    "BatchNormalization": _batch_normalisation,
    "Concatenate": _several("Concat", axis=1),
    "Conv2D": _convolution,
    "Dense": _dense,
    "Dropout": _nothing,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": _global_pooling,
    "InputLayer": _input,
    "LocallyConnected2D": _locally_connected,
    "MaxPooling2D": _max_pooling,
    "Rescaling": _rescaling,
    "ZeroPadding2D": _zero_padding,
}
"""Writer of each layer type. Concatenation joins channels or vectors; both are axis 1 in ONNX."""


def can_write(layer) -> bool:
    """Whether the nodes of `WRITERS` compute what this Keras layer does."""
    activation = getattr(layer, "activation", None)
    if type(layer).__name__ not in WRITERS:
        return False
    if activation and getattr(activation, "__name__", None) not in ACTIVATIONS:
        return False
    if type(layer).__name__ == "BatchNormalization" and len(layer.weights) != 4:
        return False  # without a scale or an offset
    if getattr(layer, "axis", -1) not in (-1, len(layer.output.shape) - 1):
        return False
    return all(getattr(layer, name, only) == only for name, only in OPTIONS.items())
