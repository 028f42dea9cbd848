"""The numbers of the paper, and its names of the networks."""

PAPER_TABLE_1 = {
    "antony_clsf": {
        "att0": {"att0": 41.76},
        "att1": {"att1": 41.9},
        "att2": {"att2": 44.53},
        "early_fusion": {"kl": 52.5},
        "multiloss": {"att1": 43.9, "att2": 46.6},
    },
    "antony_extended": {
        "att0": {"att0": 40.0},
        "att1": {"att1": 53.26},
        "att2": {"att2": 53.83},
        "early_fusion": {"kl": 56.17},
        "multiloss": {"att1": 55.61, "att2": 55.68},
    },
    "resnet50": {
        "att0": {"att0": 59.3},
        "att1": {"att1": 58.67},
        "att2": {"att2": 56.47},
        "early_fusion": {"kl": 59.0},
        "multiloss": {"att0": 60.0, "att1": 56.88},
    },
    "vgg16": {
        "att0": {"att0": 62.2},
        "att1": {"att1": 61.7},
        "att2": {"att2": 58.8},
        "early_fusion": {"kl": 63.0},
        "multiloss": {"att0": 64.3, "att1": 63.2},
    },
}
"""`{backbone: {variant: {output: test accuracy in %}}}` (paper, Table 1)."""

PAPER_TABLE_2 = {
    ("antony_clsf_baseline", "baseline"): {
        "kl": {"accuracy": 59.0, "loss": 1.13, "kappa": 0.42, "parameters": 7.51e6}
    },
    ("antony_joint_baseline", "baseline"): {
        "kl": {"accuracy": 62.29, "loss": 0.89, "kappa": 0.48, "parameters": 5.77e6}
    },
    ("vgg16", "multiloss"): {
        "att0": {"accuracy": 64.3, "loss": 0.817, "kappa": 0.63, "parameters": 7.7e6}
    },
}
"""`{(backbone, variant): {output: metrics}}` (paper, Table 2). Accuracy is in %; the parameters of
the baselines include the localiser's."""

TABLE_2_TITLES = {
    ("antony_clsf_baseline", "baseline"): "Antony classification",
    ("antony_joint_baseline", "baseline"): "Antony joint classification and regression",
    ("vgg16", "multiloss"): "VGG-16 multi-loss",
}
"""The rows of Table 2."""

BACKBONE_TITLES = {
    "antony_clsf": "Antony clsf.",
    "antony_extended": "Antony extended",
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
}
"""The columns of Table 1."""

VARIANT_TITLES = {"early_fusion": "early fusion", "multiloss": "multi-loss"}
"""The paper's names of the variants with several branches."""

CITATION = (
    "Górriz, Antony, McGuinness, Giró-i-Nieto, O'Connor: Assessing Knee OA Severity with CNN "
    "attention-based end-to-end architectures. Medical Imaging with Deep Learning 2019, "
    "PMLR 102, 197–214."
)

TABLES_SOURCE = "Tables 1 and 2, test accuracy on OAI and MOST films"
"""Source of the paper's accuracies, for captions."""


def paper_accuracies(backbone: str, variant: str) -> dict[str, float]:
    """The paper's test accuracy of each output, 0-1; empty if it reports none."""
    percents = PAPER_TABLE_1.get(backbone, {}).get(variant)
    if percents is None:
        second = PAPER_TABLE_2.get((backbone, variant), {})
        percents = {output: values["accuracy"] for output, values in second.items()}
    return {output: percent / 100 for output, percent in percents.items()}
