"""Training of a model with two heads on 4x4 images."""

import keras
import numpy as np

from knee_attention.datasets.batches import KneeBatches
from knee_attention.datasets.knees import Knees
from knee_attention.runs.experiment import Experiment
from knee_attention.runs.run_folder import RunFolder
from knee_attention.runs.training import compile_model, train

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
