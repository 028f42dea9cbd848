"""Related systems on the same knees: networks that the paper names beside VGG-16 multi-loss."""

import pandas as pd

from knee_attention.evidence.tables.common import (
    Finished,
    accuracy_cells,
    cell,
    compared,
    mean_metrics,
    same_knees,
    unlike,
    without_empty_columns,
)

TITLE = "Related systems on the same knees"
SOURCE = "All networks have the same training knees and the same protocol."

OURS = ("vgg16", "multiloss")
TITLES = {
    OURS: "VGG-16 multi-loss",
    ("vgg16_plain", "baseline"): "VGG-16 without attention",
    ("jetley", "baseline"): "VGG-16 with the attention of Jetley et al. 2018",
    ("tiulpin", "baseline"): "Siamese patches of Tiulpin et al. 2018",
    ("antony_clsf_baseline", "baseline"): "Antony classification",
    ("antony_joint_baseline", "baseline"): "Antony joint classification and regression",
}
"""The rows of the table."""

BESIDE = ("balanced_accuracy", "kappa_quadratic", "mean_absolute_error", "oa_auc")


def rows(finished: Finished) -> pd.DataFrame:
    """One row for every output of every network.

    Args:
        finished: `{(backbone, variant): trainings}`; experiments of other tables are ignored.

    Returns:
        Columns `backbone`, `variant`, `output`, `image_size`, those of `mean_metrics` with the
        metrics of `BESIDE`, and `paper`, which is empty: their papers used other knees.
    """
    found = []
    for key in TITLES:
        trainings = finished.get(key, [])
        for output in trainings[0].predictions.probabilities if trainings else ():
            found.append({
                "backbone": key[0],
                "variant": key[1],
                "output": output,
                "image_size": "x".join(map(str, trainings[0].experiment["image_size"])),
                **mean_metrics(trainings, output, BESIDE),
                "paper": float("nan"),
            })  # fmt: skip
    return pd.DataFrame(found)


def claims(finished: Finished) -> list[str]:
    """A sentence for each related system: the difference of accuracy of VGG-16 multi-loss to it on
    the same knees, with its paired interval.
    """
    sentences, ours = [], finished.get(OURS)
    for key, title in TITLES.items():
        rival = finished.get(key)
        if key != OURS and ours and rival and same_knees([*ours, *rival]):
            sentences.append(f"{TITLES[OURS]} against {title}: {compared(ours, rival)}")
    return sentences + unlike(finished)


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with accuracies in %."""
    text = []
    for _, row in table.iterrows():
        text.append({
            "network": TITLES[row["backbone"], row["variant"]],
            "output": row["output"],
            "pixels": row["image_size"],
            **accuracy_cells(row),
            "balanced, %": cell(row, "balanced_accuracy", 1, 100),
            "quadratic kappa": cell(row, "kappa_quadratic"),
            "MAE": cell(row, "mean_absolute_error", 2),
            "OA AUC": cell(row, "oa_auc"),
            "parameters": f"{row['parameters']:,}",
            "minutes": cell(row, "minutes", 1),
        })  # fmt: skip
    return without_empty_columns(text)
