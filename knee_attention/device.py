"""The device that networks run on, and its fastest precision and compilation.

Measured on VGG-16 multi-loss at 320x224 (experiments/README.md): `mixed_bfloat16` trains twice as
fast as float32 on a CPU with bfloat16 instructions, and slower on a CPU without them. XLA slows
TensorFlow down on CPUs.
"""

import os
import platform
import re
from pathlib import Path

import keras


def gpus() -> list:
    """The GPUs that the Keras backend sees."""
    return [name for name in keras.distribution.list_devices() if not name.startswith("cpu")]


def choose_precision(precision: str) -> str:
    """The Keras dtype policy for a `--precision`; `auto` is the fastest safe one on this device."""
    if precision != "auto":
        return precision
    if gpus():
        return "mixed_bfloat16" if _gpu_capability() >= (8, 0) else "mixed_float16"
    if keras.backend.backend() == "jax":  # jaxlib 0.11.2 gives NaN in bfloat16 on a CPU
        return "float32"
    return "mixed_bfloat16" if cpu_has_bfloat16() else "float32"


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


def _gpu_capability() -> tuple[int, int]:
    """The CUDA compute capability of the first GPU; (0, 0) if the backend does not know it."""
    if keras.backend.backend() == "jax":
        text = str(getattr(_first_of_jax(), "compute_capability", "0.0"))
        return tuple(int(part) for part in text.split(".")[:2])
    return _first_of_tensorflow().get("compute_capability", (0, 0))


def _gpu_name() -> str | None:
    """The product name of the first GPU; None if the backend does not know it."""
    if keras.backend.backend() == "jax":
        return getattr(_first_of_jax(), "device_kind", None)
    return _first_of_tensorflow().get("device_name")


def _first_of_jax():
    import jax

    return jax.devices()[0]


def _first_of_tensorflow() -> dict:
    import tensorflow as tf

    return tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])


def describe_device() -> str:
    """The device in a few words, such as `2-core CPU` or `1 GPU (NVIDIA H100 80GB HBM3)`."""
    found = gpus()
    if found:
        count, name = f"{len(found)} GPU" + ("s" if len(found) > 1 else ""), _gpu_name()
        return f"{count} ({name})" if name else count
    return f"{os.cpu_count()}-core CPU ({platform.machine()})"
