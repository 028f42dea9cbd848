"""Data parallelism over several devices of one machine, with the results of a single device.

Each device has a copy of the model and gets an equal part of every batch. Losses, gradients and
batch statistics are those of the whole batch. `KneeBatches` pads batches to equal parts.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from knee_attention import device
from knee_attention.errors import InputError

ALL = "all"


def find_devices(asked: int | str | None) -> list[str]:
    """The devices to use: the first GPUs or, without a GPU, the first CPUs.

    Args:
        asked: the value of `--devices`: a number, `all`, or None for one device.

    Raises:
        InputError: there are fewer devices.
    """
    there = keras.distribution.list_devices()
    if asked == ALL:
        return there
    asked = asked or 1
    if asked > len(there):
        raise InputError(f"--devices {asked}: {keras.backend.backend()} has only {len(there)} "
                         f"({device.describe_device()})")
    return there[:asked]


def refuse_uneven(batch_size: int, devices: int) -> None:
    """Refuse a batch size that is not a multiple of the number of devices.

    Raises:
        InputError: the batch is too small, or cannot be divided evenly.
    """
    if batch_size < devices:
        raise InputError(f"a batch of {batch_size} knees is too small for {devices} devices; "
                         "choose a larger --batch-size or fewer --devices")
    if batch_size % devices:
        raise InputError(f"a batch of {batch_size} knees cannot be divided evenly among {devices} "
                         "devices; choose another --batch-size or other --devices")


@contextmanager
def shared_by(devices: list[str]) -> Iterator[None]:
    """Make these devices share the batches of models that are built and used in the block.

    With one device this does nothing.
    """
    if len(devices) == 1:
        yield
    elif keras.backend.backend() == "jax":
        with keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False).scope():
            yield
    else:
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(devices).scope():
            yield


@contextmanager
def common_statistics(model: keras.Model, devices: int) -> Iterator[None]:
    """Make batch normalisation use the whole batch in the block, not the part of each device.

    JAX always does so. In TensorFlow it is an option of the layers. It is reset at the end, because
    Keras would save it in the model's file, and other backends cannot read such a file.
    """
    normalisations = [
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if devices == 1 or keras.backend.backend() != "tensorflow":
        normalisations = []
    try:
        for layer in normalisations:
            layer.synchronized = True
        yield
    finally:
        for layer in normalisations:
            layer.synchronized = False
