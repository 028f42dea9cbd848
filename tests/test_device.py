"""The description of a device, and the precision that it gets."""

import pytest

from knee_attention import device


@pytest.mark.parametrize(
    ("backend", "bfloat16", "chosen"),
    [("tensorflow", True, "mixed_bfloat16"), ("tensorflow", False, "float32"),
     ("jax", True, "float32"), ("jax", False, "float32")],
)  # fmt: skip
def test_bfloat16_on_a_processor_is_left_to_tensorflow(monkeypatch, backend, bfloat16, chosen):
    monkeypatch.setattr(device, "gpus", lambda: [])
    monkeypatch.setattr(device, "cpu_has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr("keras.backend.backend", lambda: backend)
    assert device.choose_precision("auto") == chosen
    assert device.choose_precision("mixed_bfloat16") == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("found", "name", "shown"),
    [(["gpu:0"], "NVIDIA H100 80GB HBM3", "1 GPU (NVIDIA H100 80GB HBM3)"),
     (["gpu:0", "gpu:1"], None, "2 GPUs")],
)  # fmt: skip
def test_gpus_are_counted_and_named(monkeypatch, found, name, shown):
    monkeypatch.setattr(device, "gpus", lambda: found)
    monkeypatch.setattr(device, "_gpu_name", lambda: name)
    assert device.describe_device() == shown
