"""Related systems on the same knees: networks that the paper names beside VGG-16 multi-loss."""

import pandas as pd

from knee_attention.evidence.tables.common import Finished, claims_against, mean_metrics, text_of

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

FURTHER_METRICS = ("balanced_accuracy", "kappa_quadratic", "mean_absolute_error", "oa_auc")


def rows(finished: Finished) -> pd.DataFrame:
    """One row for every output of every network.

    Args:
        finished: `{(backbone, variant): trainings}`; experiments of other tables are ignored.

    Returns:
        Columns `backbone`, `variant`, `output`, `image_size`, those of `mean_metrics` with the
        metrics of `FURTHER_METRICS`, and `paper`, which is empty: their papers used other knees.
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
                **mean_metrics(trainings, output, FURTHER_METRICS),
                "paper": float("nan"),
            })  # fmt: skip
    return pd.DataFrame(found)


def claims(finished: Finished) -> list[str]:
    """A sentence for each related system: the difference of accuracy of VGG-16 multi-loss to it."""
    return claims_against(finished, TITLES, OURS)


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text, with accuracies in %."""
    def first_cells(row: pd.Series) -> dict[str, str]:
        return {"network": TITLES[row["backbone"], row["variant"]], "output": row["output"],
                "pixels": row["image_size"]}  # fmt: skip

    return text_of(table, first_cells, ("balanced, %", "quadratic kappa", "MAE", "OA AUC",
                                        "parameters", "minutes"))  # fmt: skip
