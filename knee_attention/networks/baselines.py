"""Heads of the baselines of Table 2: dense layers on all features, without attention.

Antony et al., "Quantifying Radiographic Knee Osteoarthritis Severity using Deep Convolutional
Neural Networks" (ICPR 2016) and "Automatic Detection of Knee Joints and Quantification of Knee
Osteoarthritis Severity using Convolutional Neural Networks" (MLDM 2017). Their input is a crop of
the knee joint.
"""

from keras import layers

from knee_attention.networks.attention import grade_head

DROPOUT = 0.3
"""Dropout rate of the joint network. The classification network's is not published; it uses the
same."""


def dense_classifier(features, name: str):
    """Dense layers of the classification network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        name: name of the output.

    Returns:
        `(batch, 5)` float32 probabilities.
    """
    return grade_head(_hidden(features, 1024), name)


def joint_heads(features, classification: str, regression: str) -> tuple:
    """Dense layers of the joint classification and regression network.

    Args:
        features: `(batch, height, width, channels)` tensor.
        classification, regression: names of the outputs.

    Returns:
        `(batch, 5)` float32 probabilities, and `(batch, 1)` float32 grades. A regressed grade may
        be fractional or outside 0-4.
    """
    hidden = _hidden(features, 512)
    grade = layers.Dense(1, dtype="float32", name=regression)(hidden)
    return grade_head(hidden, classification), grade


def _hidden(features, units: int):
    x = layers.Flatten(name="flatten")(features)
    x = layers.Dense(units, activation="relu", name="dense")(x)
    return layers.Dropout(DROPOUT, name="dropout")(x)
