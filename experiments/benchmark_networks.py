"""Speed of training and inference of one network.

    python experiments/benchmark_networks.py keras2

`benchmark.py` starts this script. It prints one measurement per line: name and value as JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator

import numpy as np

CONVOLUTION_CHANNELS, CONVOLUTION_SIZE, CONVOLUTION_LAYERS = 128, (80, 56), 4
ONE_KNEE_STEPS = 20


def main() -> None:
    """Print each measurement when it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=("auto", "float32", "keras2"))
    parser.add_argument("--image-size", type=int, nargs=2, default=(320, 224), metavar=("H", "W"))
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--steps", type=int, default=3, metavar="N",
                        help="timed steps (default: 3)")
    options = parser.parse_args()
    size = tuple(options.image_size)
    for measurement in measure(options.model, size, options.batch_size, options.steps):
        print(json.dumps(measurement), flush=True)


def measure(
    name: str, size: tuple[int, int], count: int, steps: int
) -> Iterator[tuple[str, float | str]]:
    """Measure a network; yields the name and the value of each measurement.

    Args:
        name: a precision of our network, or "keras2".
        size: height and width of an image in pixels.
        count: images per batch.
        steps: how many steps are timed; the fastest counts.
    """
    import resource

    height, width = size
    generator = np.random.default_rng(0)
    grades = generator.integers(5, size=count)
    images = generator.integers(0, 256, (count, height, width, 1), dtype=np.uint8)
    if name == "keras2":
        images = np.repeat(images, 3, axis=-1).astype(np.float32)
        targets = [np.eye(5, dtype=np.float32)[grades]] * 2
        precision, build = "float32", keras2_model
    else:
        from knee_attention.device import choose_precision

        targets = dict.fromkeys(("att0", "att1"), grades)
        precision, build = choose_precision(name), our_model

    yield "precision", precision
    began = time.perf_counter()
    model = build(size, precision)
    model.train_on_batch(images, targets)
    yield "first_step", time.perf_counter() - began
    step = fastest(lambda: model.train_on_batch(images, targets), steps)
    yield "training", count / step
    yield "memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield "inference", count / fastest_inference(model, images, steps)
    yield "one_knee", 1 / fastest_inference(model, images[:1], ONE_KNEE_STEPS)
    if name != "keras2":
        yield "convolution", convolution_rate(precision)
        yield "gflop", convolution_gflop(model)


def our_model(size: tuple[int, int], precision: str):
    """VGG-16 multi-loss of this package, compiled as in the experiments."""
    from knee_attention.device import choose_jit_compile
    from knee_attention.networks.model import build_model
    from knee_attention.runs.training import compile_model

    model = build_model("vgg16", ("att0", "att1"), "multi_loss", size, precision=precision)
    compile_model(model, {"att0": 1.0, "att1": 0.8}, 1e-5, choose_jit_compile())
    return model


def keras2_model(size: tuple[int, int], precision: str):
    """The same network as in the original code, with the layers of Keras 2."""
    import tf_keras
    from tf_keras import layers

    network = tf_keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(*size, 3)
    )
    outputs = []
    for tap in ("block3_pool", "block4_pool"):
        features = layers.BatchNormalization()(network.get_layer(tap).output)
        x = layers.Conv2D(64, 1, activation="relu", padding="same")(features)
        x = layers.Conv2D(16, 1, activation="relu", padding="same")(x)
        mask = layers.LocallyConnected2D(1, 1, activation="sigmoid", padding="valid")(x)
        ones = layers.Conv2D(
            features.shape[-1], 1, use_bias=False, trainable=False, kernel_initializer="ones"
        )
        masked = layers.multiply([ones(mask), features])
        averages = [layers.GlobalAveragePooling2D()(volume) for volume in (masked, ones(mask))]
        vector = layers.Lambda(lambda pair: pair[0] / pair[1])(averages)
        outputs.append(layers.Dense(5, activation="softmax")(vector))
    model = tf_keras.Model(network.input, outputs)
    model.compile(
        tf_keras.optimizers.Adam(1e-5), "categorical_crossentropy", loss_weights=[1.0, 0.8]
    )
    return model


def convolution_gflop(model) -> float:
    """GFLOP of one image's forward pass: multiplications and additions of all convolutions."""
    import keras

    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += 2 * height * width * int(np.prod(layer.kernel.shape))
    return total / 1e9


def convolution_rate(precision: str) -> float:
    """GFLOP/s of a stack of plain 3x3 convolutions, the most that this machine reaches."""
    import keras

    keras.config.set_dtype_policy(precision)
    shape = (16, *CONVOLUTION_SIZE, CONVOLUTION_CHANNELS)
    model = keras.Sequential([keras.Input(shape[1:])])
    for _ in range(CONVOLUTION_LAYERS):
        model.add(keras.layers.Conv2D(CONVOLUTION_CHANNELS, 3, padding="same", use_bias=False))
    images = keras.ops.cast(np.ones(shape, np.float32), model.compute_dtype)
    return shape[0] * convolution_gflop(model) / fastest_inference(model, images, 8)


def fastest_inference(model, images, times: int) -> float:
    """Seconds of the fastest of several predictions, after one that compiles."""
    model.predict_on_batch(images)
    return fastest(lambda: model.predict_on_batch(images), times)


def fastest(work: Callable[[], object], times: int) -> float:
    """Seconds of the fastest of several calls."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


if __name__ == "__main__":
    main()
