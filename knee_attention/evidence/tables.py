"""The paper's numbers, and ours beside them."""

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
"""Test accuracy in %, by backbone, variant and output (paper, Table 1)."""

COLUMNS = {
    "accuracy": "accuracy",
    "kappa": "kappa",
    "kappa_quadratic": "quadratic",
    "mean_absolute_error": "MAE",
    "cross_entropy": "loss",
}


def results_table(results: dict) -> str:
    """The results of a run as text for the screen, the paper's accuracy beside ours.

    Args:
        results: the content of `results.json`.
    """
    paper = PAPER_TABLE_1.get(results["backbone"], {}).get(results["variant"], {})
    split = results["split"]
    origin = " (synthetic phantoms)" if results["synthetic"] else ""
    lines = [
        f"{results['name']}: {results['knees']} {split} knees{origin}",
        f"{'output':12}" + "".join(f"{title:>11}" for title in COLUMNS.values()) + f"{'paper':>11}",
    ]
    for name, metrics in results[split].items():
        label = name + ("*" if name == results["chosen"] else "")
        row = [metrics[key] for key in COLUMNS]
        cells = "".join("          -" if cell is None else f"{cell:11.3f}" for cell in row)
        accuracy = f"{paper[name] / 100:11.3f}" if name in paper else f"{'-':>11}"
        lines.append(f"{label:12}{cells}{accuracy}")
    lines.append("* chosen by validation loss; paper: Table 1, test accuracy on OAI and MOST films")
    for branch, values in results.get("localisation", {}).items():
        ratio = values["inside_over_outside"]
        lines.append(f"attention of {branch}: {ratio:.2f} times more inside the joint than outside "
                     "(a uniform mask: 1.00)")
    return "\n".join(lines)
