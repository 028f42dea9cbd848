"""The heads of Table 2's baselines: dense layers on all of a backbone's features, no attention.

Antony et al., "Quantifying Radiographic Knee Osteoarthritis Severity using Deep Convolutional
Neural Networks" (ICPR 2016) and "Automatic Detection of Knee Joints and Quantification of Knee
Osteoarthritis Severity using Convolutional Neural Networks" (MLDM 2017). They are shown a knee
joint that was found and cut out before.
"""

from keras import layers

from knee_attention.networks.attention import grade_head

DROPOUT = 0.3
"""Of the joint network; the classification network's is not published, and taken from it."""


def dense_classifier(features, name: str):
    """The dense layers of the classification network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        name: the output's.

    Returns:
        `(batch, 5)` float32 probabilities.
    """
    return grade_head(_hidden(features, 1024), name)


def joint_heads(features, classification: str, regression: str) -> tuple:
    """The dense layers of the joint classification and regression network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        classification, regression: the outputs' names.

    Returns:
        `(batch, 5)` float32 probabilities, and `(batch, 1)` float32: a grade that need not be
        whole, nor between 0 and 4.
    """
    hidden = _hidden(features, 512)
    grade = layers.Dense(1, dtype="float32", name=regression)(hidden)
    return grade_head(hidden, classification), grade


def _hidden(features, units: int):
    x = layers.Flatten(name="flatten")(features)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    return layers.Dropout(DROPOUT, name="dropout")(x)
