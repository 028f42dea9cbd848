"""Several devices of one machine that share every batch, to the results of one.

Each device holds the whole model and takes an equal part of the batch; losses, gradients and batch
statistics are those of the whole. What the parts are equal by is `KneeBatches`' business.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from knee_attention import device
from knee_attention.errors import InputError

ALL = "all"


def find_devices(asked: int | str | None) -> list[str]:
    """The devices that `--devices` asks for: the first of the GPUs, or of the CPUs without any.

    Args:
        asked: how many, `all`, or None for one.

    Raises:
        InputError: there are fewer.
    """
    there = keras.distribution.list_devices()
    if asked == ALL:
        return there
    asked = asked or 1
    if asked > len(there):
        raise InputError(f"{asked} devices are asked for, and {keras.backend.backend()} sees "
                         f"{len(there)} ({device.describe_device()})")
    return there[:asked]


def refuse_uneven(batch_size: int, devices: int) -> None:
    """A batch has to have the same number of knees for each device.

    Raises:
        InputError: it is smaller than the devices are many, or cannot be shared evenly.
    """
    if batch_size < devices:
        raise InputError(f"a batch of {batch_size} knees is too small for {devices} devices; "
                         "choose another --batch-size or fewer --devices")
    if batch_size % devices:
        raise InputError(f"a batch of {batch_size} knees cannot be shared evenly by {devices} "
                         "devices; choose another --batch-size or other --devices")


@contextmanager
def shared_by(devices: list[str]) -> Iterator[None]:
    """Whatever model is made, trained and asked in the block, these devices share its batches.

    One device is left to itself: nothing is then as it would not be without the block.
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
    """Batch normalisation in the block sees the whole batch, not the device's part of it.

    JAX knows no other way. For TensorFlow it is an option of the layers, which is put back, as it
    would be written into the model's file, and with it no other backend reads the file.
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
