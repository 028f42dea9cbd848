"""The devices that networks run on: fastest precision and compilation, and data parallelism.

Measured on VGG-16 multi-loss at 320x224 (experiments/README.md): `mixed_bfloat16` trains twice as
fast as float32 on a CPU with bfloat16 instructions, and slower on a CPU without them. XLA slows
TensorFlow down on CPUs.

With several devices of one machine, each has a copy of the model and gets an equal part of every
batch. Losses, gradients and batch statistics are those of the whole batch, so the results are those
of a single device. `KneeBatches` pads batches to equal parts.
"""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

from knee_attention.errors import InputError


def gpus() -> list:
    """The GPUs that the Keras backend sees."""
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def choose_precision(precision: str) -> str:
    """The Keras dtype policy for a `--precision`; `auto` is the fastest safe one on this device."""
    if precision != "auto":
        return precision
    if gpus():
        return "mixed_bfloat16" if _first_gpu()[1] >= (8, 0) else "mixed_float16"
    return usable_precision("mixed_bfloat16") if cpu_has_bfloat16() else "float32"


def usable_precision(precision: str) -> str:
    """The precision, or float32 in place of bfloat16 with JAX on a CPU, where it gives NaN
    (jaxlib 0.11.2)."""
    unsafe = precision == "mixed_bfloat16" and keras.backend.backend() == "jax" and not gpus()
    return "float32" if unsafe else precision


def choose_jit_compile(devices: int = 1) -> bool:
    """Whether to compile with XLA.

    JAX always does. TensorFlow gains on GPUs only, and cannot compile a step that several devices
    share.
    """
    return keras.backend.backend() == "jax" or (bool(gpus()) and devices == 1)


def cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX or Arm's bf16)."""
    try:
        description = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", description))


def _first_gpu() -> tuple[str | None, tuple[int, ...]]:
    """Product name and CUDA compute capability of the first GPU; None and (0, 0) if unknown."""
    if keras.backend.backend() == "jax":
        import jax

        gpu = jax.devices()[0]
        found = re.match(r"(\d+)\.(\d+)", str(getattr(gpu, "compute_capability", "")))
        capability = tuple(map(int, found.groups())) if found else (0, 0)
        return getattr(gpu, "device_kind", None), capability
    import tensorflow as tf

    gpu = tf.config.list_physical_devices("GPU")[0]
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("device_name"), details.get("compute_capability", (0, 0))


def describe_device() -> str:
    """The device in a few words, such as `2-core CPU` or `1 GPU (NVIDIA H100 80GB HBM3)`."""
    found = gpus()
    if found:
        count, name = f"{len(found)} GPU" + ("s" if len(found) > 1 else ""), _first_gpu()[0]
        return f"{count} ({name})" if name else count
    return f"{os.cpu_count()}-core CPU ({platform.machine()})"


ALL = "all"


def find_devices(requested: int | str | None) -> list[str]:
    """The devices to use: the first GPUs or, without a GPU, the first CPUs.

    Args:
        requested: the value of `--devices`: a number, `all`, or None for one device.

    Raises:
        InputError: there are fewer devices.
    """
    available = keras.distribution.list_devices()
    if requested == ALL:
        return available
    requested = requested or 1
    if requested > len(available):
        raise InputError(f"--devices {requested}: this machine has only {len(available)} that "
                         f"{keras.backend.backend()} can use ({describe_device()})")
    return available[:requested]


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
