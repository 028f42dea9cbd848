"""Contexts that make tiny trainings fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

CURVES = ("learning_curves", "confusion_matrix", "reliability_diagram")
PANELS = ("mask_panels", "augmentation_panels")


@contextmanager
def run_eagerly() -> Iterator[None]:
    """Run TensorFlow's functions without graphs. Tracing takes longer than a few tiny steps."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def leave_figures_blank() -> Iterator[None]:
    """Write a small black image in place of every figure of a run."""
    from knee_attention.evidence.figures import curves, panels
    from knee_attention.files import written_whole

    content = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()

    def save_blank(*arguments, **options):
        path = next(argument for argument in arguments if isinstance(argument, Path))
        with written_whole(path) as beside:
            beside.write_bytes(content)

    with pytest.MonkeyPatch.context() as patch:
        for module, names in ((curves, CURVES), (panels, PANELS)):
            for name in names:
                patch.setattr(module, name, save_blank)
        yield
