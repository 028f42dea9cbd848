"""Small trainings: contexts that make them fast, an experiment, a backbone, a tiny model."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from knee_attention.commands.cli import main as knee_attention
from knee_attention.commands.scripts.experiment import main
from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.networks.backbones import Backbone
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.training import compile_model, train

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


SMALL = Experiment(backbone="antony_clsf", branches=("att1", "att2"), fusion="multi_loss",
                   loss_weights=(1.0, 0.8))  # fmt: skip
ONE = Experiment("antony_clsf", ("att1",), "single", image_size=(96, 96), epochs=1,
                 batch_size=10, precision="float32")  # fmt: skip
QUICK = ["--image-size", "96", "96", "--batch-size", "10", "--learning-rate", "1e-3",
         "--precision", "float32"]  # fmt: skip


def run(experiment: Experiment, *arguments) -> None:
    main(experiment, [*QUICK, *map(str, arguments)])


def results_of(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def edit_json(path: Path, **changes) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edited(run: Path, copy: Path, **changes) -> Path:
    """Copy a run, and change entries of its experiment.json; returns the copy."""
    shutil.copytree(run, copy)
    edit_json(copy / "experiment.json", **changes)
    return copy


def publish(*arguments) -> None:
    """Run `knee-attention publish`."""
    knee_attention(["publish", *map(str, arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    """`{path: content}` of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def write_mask(path: Path, rows=slice(40, 56), size=(112, 96)) -> np.ndarray:
    """Write the mask of a joint in these rows; returns it as bool."""
    mask = np.zeros(size, np.uint8)
    mask[rows] = 255
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), mask)
    return mask > 127


def tiny(images):
    from keras import layers

    x = layers.Conv2D(4, 5, strides=4, activation="relu", name="tiny_conv1")(images)
    x = layers.MaxPooling2D(2, name="tiny_pool1")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="tiny_conv2")(x)
    return layers.MaxPooling2D(2, name="tiny_pool2")(x)


TINY = Backbone(
    build=tiny,
    taps={"att0": "tiny_pool1", "att1": "tiny_pool2"},
    smallest=64,
    known_by="tiny_conv1",
    first_convolution="tiny_conv1",
    phantom_setting={"image_size": (72, 64), "epochs": 1, "batch_size": 5, "learning_rate": 1e-3},
)

OUTPUTS = ["att0", "att1"]


def tiny_model(learning_rate=1e-2, outputs=OUTPUTS, normalise=True, dropout=0.0):
    """Two heads on a 4x4 picture, normalised or not."""
    keras.utils.set_random_seed(0)
    knees = keras.Input((4, 4, 1))
    x = keras.layers.BatchNormalization()(knees) if normalise else knees
    x = keras.layers.Flatten()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    heads = {name: keras.layers.Dense(5, activation="softmax", name=name)(x) for name in outputs}
    model = keras.Model(knees, heads)
    compile_model(model, dict(zip(outputs, (1.0, 0.8), strict=False)), learning_rate, False)
    return model


def tiny_batches(outputs=OUTPUTS, training=False, augment="flips"):
    """The last batch is smaller than the others."""
    generator = np.random.default_rng(0)
    grades = generator.integers(5, size=18)
    images = generator.integers(0, 50, (18, 4, 4)) + 40 * grades[:, None, None]
    knees = Knees(images.astype(np.uint8), grades, [], [])
    return KneeBatches(knees, outputs, 8, training=training, seed=3, augment=augment)


def fit(folder, epochs, model=None, outputs=OUTPUTS, **options):
    model = model or tiny_model(outputs=outputs)
    experiment = Experiment(epochs=epochs, **options)
    training = tiny_batches(outputs, training=True, augment=experiment.augment)
    return train(model, training, tiny_batches(outputs), experiment, RunFolder(folder)), model


def stuck_model():
    """One whose validation loss never changes."""
    return tiny_model(learning_rate=1e-30, normalise=False)
