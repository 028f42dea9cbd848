"""The findings of the published runs of a data set, beyond Tables 1 and 2.

    python experiments/findings.py --from experiments/results/kneekl224
"""

from pathlib import Path

from knee_attention.commands.scripts.findings import main

TABLES = {
    name: Path(__file__).parent / f"run_{name}.py" for name in ("table1", "table2", "related")
}

EXTRA = {
    "vgg16_multiloss-224": "VGG-16 multi-loss at 224x224",
    "vgg16_multiloss-rate1e-4": "VGG-16 multi-loss at half the learning rate",
    "vgg16_multiloss-imagenet": "VGG-16 multi-loss from ImageNet, 6 epochs",
    "antony_extended_multiloss-gaussian": "Antony extended multi-loss with Gaussian targets",
    "antony_clsf_multiloss-flips": "Antony clsf. multi-loss with flips alone",
    "antony_clsf_multiloss-moving": "Antony clsf. multi-loss with moving batch statistics",
}
"""Experiments that are in no table. Before the hyphen is the experiment of the table, after it the
option in which they differ."""

ENSEMBLES = {
    "vgg16_multiloss": "VGG-16 multi-loss",
    "vgg16_multiloss-224": EXTRA["vgg16_multiloss-224"],
}
"""Experiments that are also shown as an ensemble and with other rules."""

KINDS = {"local": "local masks", "shared": "a shared mask", "none": "no masks"}
DISPLACED = {kind: f"antony_extended_multiloss-displaced_{kind}" for kind in KINDS}
CROPS = {"local": "antony_extended_multiloss", "shared": "antony_extended_multiloss-shared",
         "none": "antony_extended_multiloss-none"}  # fmt: skip
COMPARED = {
    f"{knees}: {KINDS[first]} - {KINDS[second]}": (runs[first], runs[second])
    for knees, runs in (("displaced joints", DISPLACED), ("crops", CROPS))
    for first, second in (("local", "none"), ("shared", "none"), ("shared", "local"))
} | {
    "VGG-16 multi-loss from ImageNet: augmentation wide - strong": (
        "vgg16_multiloss-imagenet_wide", "vgg16_multiloss-imagenet"
    ),
    "VGG-16 multi-loss at 224x224: three more epochs with wide (of seed 2) - three seeds": (
        "vgg16_multiloss-224_wide", "vgg16_multiloss-224"
    ),
    "VGG-16 multi-loss at 224x224: nine epochs with wide (of seed 2), averaged - three seeds": (
        "vgg16_multiloss-224_mean", "vgg16_multiloss-224"
    ),
    "VGG-16 multi-loss at 224x224: stability training of the former - the former": (
        "vgg16_multiloss-224_stable", "vgg16_multiloss-224_mean"
    ),
    "VGG-16 multi-loss at 224x224: 60 rounds of stability training - 8": (
        "vgg16_multiloss-224_stable60", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 50 rounds, of grades too - 8 rounds, of features": (
        "vgg16_multiloss-224_robust", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 34 rounds more, of grades too - 8 rounds, of features": (
        "vgg16_multiloss-224_stable2", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 30 rounds after these, with a teacher - 8 rounds": (
        "vgg16_multiloss-224_stable3", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 30 more such rounds, with clean knees - 8 rounds": (
        "vgg16_multiloss-224_stable4", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 40 more, from the mean of these two - 8 rounds": (
        "vgg16_multiloss-224_stable5", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 multi-loss at 224x224: 30 rounds with a teacher, with mirror images - without": (
        "vgg16_multiloss-224_flips", "vgg16_multiloss-224_stable3"
    ),
    "VGG-16 multi-loss at 224x224: 30 rounds with a teacher, with mirror images - 8 rounds": (
        "vgg16_multiloss-224_flips", "vgg16_multiloss-224_stable"
    ),
    "VGG-16 without attention: 30 epochs - 20": ("vgg16_plain", "vgg16_plain-epochs20"),
}  # fmt: skip
"""Further pairs to compare: `{label: (first, second)}`."""

ABOUT = {
    "kneeKL224": "kneeKL224 is a public data set from the Osteoarthritis Initiative: crops of knee "
    "joints with Kellgren-Lawrence grades (P. Chen, Mendeley Data 56rmx5bjcr, CC BY 4.0). The "
    "networks were trained on its 5,778 training knees. The epoch of each network was chosen on "
    "the validation knees. The weights kneekl-vgg16-multiloss.h5 that some runs start from are an "
    "earlier file of that name (notes.md).",
}
"""Texts about data sets."""

KNEES = "Knees: P. Chen, Mendeley Data 56rmx5bjcr, CC BY 4.0."

PICTURES = {
    "learning_curves.png": "Learning curves of the multi-loss networks, seed 0.",
    "masks.jpg": "Attention masks of VGG-16 multi-loss at 224x224 on validation knees of grades 0 "
    f"to 4. {KNEES}",
    "masks_displaced.jpg": "Attention masks of Antony's extended network, seed 1 (the best att1 of "
    "three), where joints lie at different places: validation knees of grades 0 to 4, set into "
    f"drawn legs. {KNEES}",
    "mistakes.jpg": f"The six worst mistakes of the shipped model on validation knees. {KNEES}",
    "audit.png": "Audit of the shipped model's attention, by `knee-attention audit`.",
    "robustness.png": "What corruptions change of the shipped model's quadratic kappa, by "
    "`knee-attention robustness`.",
    "weight_search.png": "Validation loss and accuracy for each pair of loss weights.",
}
"""Captions of the pictures, which are in the folders of published runs."""

if __name__ == "__main__":
    main(TABLES, EXTRA, ENSEMBLES, COMPARED, PICTURES, ABOUT)
