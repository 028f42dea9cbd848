"""The attention module and what is put on it (Gorriz et al., MIDL 2019, section 3).

Every layer of a branch is named after it: `att0_norm`, `att0_conv1`, `att0_conv2`, `att0_mask`,
`att0_pool`, and the head `att0`.
"""

from keras import layers

from knee_attention.kl import GRADES
from knee_attention.networks.layers import AttentionPooling2D, LocallyConnected2D


def attention_branch(features, name: str):
    """Attend to a feature volume and take its weighted mean (section 3.1).

    Args:
        features: `(batch, height, width, channels)` tensor, the output of a pooling layer.
        name: the branch, such as `"att0"`.

    Returns:
        `(batch, channels)` float32 tensor: the features' mean, weighted by the branch's mask.
    """
    normalised = layers.BatchNormalization(name=f"{name}_norm")(features)
    x = layers.Conv2D(64, 1, activation="relu", name=f"{name}_conv1")(normalised)
    x = layers.Conv2D(16, 1, activation="relu", name=f"{name}_conv2")(x)
    mask = LocallyConnected2D(1, activation="sigmoid", dtype="float32", name=f"{name}_mask")(x)
    return AttentionPooling2D(name=f"{name}_pool")([normalised, mask])


def grade_head(vector, name: str):
    """Probabilities of the five grades, `(batch, 5)` float32."""
    return layers.Dense(len(GRADES), activation="softmax", dtype="float32", name=name)(vector)


def concatenated_head(vectors: list, name: str):
    """The grades of several branches by one head: early fusion (section 3.2).

    Args:
        vectors: a `(batch, channels)` tensor a branch.
        name: the output's.

    Returns:
        `(batch, 5)` float32 probabilities.
    """
    fused = layers.Concatenate(name="fusion")(vectors)
    fused = layers.Dense(256, activation="relu", name="fusion_dense")(fused)
    return grade_head(fused, name)
