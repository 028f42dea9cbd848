"""Results as text for the terminal."""

from collections.abc import Mapping

from knee_attention.evidence.paper import TABLES_SOURCE, paper_accuracies

INTERVALS_OF = {
    "accuracy": "accuracy",
    "kappa": "kappa",
    "kappa_quadratic": "quadratic kappa",
}
RESULT_COLUMNS = {
    "accuracy": "accuracy",
    "kappa": "kappa",
    "kappa_quadratic": "quadratic",
    "mean_absolute_error": "MAE",
    "cross_entropy": "loss",
}
WHERE_COLUMNS = {
    "highest": "highest on the joint",
    "energy": "share on the joint",
    "average_precision": "average precision",
}
MATTERS_COLUMNS = {"accuracy": "accuracy", "cross_entropy": "cross-entropy"}
GAP = "  "

NO_DIFFERENCE = {"difference": None, "interval": None}
"""In place of a difference that is undefined."""


def metrics_table(rows: dict[str, dict]) -> str:
    """A text table of the main metrics with their 95% intervals.

    Args:
        rows: `{label: metrics}`, one per line; metrics as `split_results` returns them.
    """
    return aligned(
        {"output": list(INTERVALS_OF.values())}
        | {
            label: [with_interval(row[name], row["intervals"][name]) for name in INTERVALS_OF]
            for label, row in rows.items()
        }
    )


def difference_table(pairs: dict[str, dict]) -> str:
    """A text table of differences between models with their 95% intervals.

    Args:
        pairs: `{label: differences}`, one per line; as `paired_differences` returns them.
    """
    return aligned(
        {"difference": list(INTERVALS_OF.values())}
        | {
            label: [difference_text(pair["metrics"][name]) for name in INTERVALS_OF]
            for label, pair in pairs.items()
        }
    )


def rules_table(label: str, results: dict) -> str:
    """A text table of decision rules with their 95% intervals, and a line about prediction sets.

    Args:
        label: title of the first column.
        results: `rules`, a dict of metrics by rule, and `prediction_sets`, which may be missing:
            the figures of `set_figures` with the `asked` coverage.
    """
    columns = {"accuracy": "accuracy", "balanced_accuracy": "balanced",
               "kappa_quadratic": "quadratic kappa"}  # fmt: skip
    lines = {f"{label} by the rule": list(columns.values())} | {
        rule: [with_interval(row[name], row["intervals"][name]) for name in columns]
        for rule, row in results["rules"].items()
    }
    sets = results.get("prediction_sets")
    if not sets:
        return aligned(lines)
    return (f"{aligned(lines)}\nprediction sets of {sets['asked']:.0%} nominal coverage hold the "
            f"true grade of {sets['coverage']:.1%} of the knees, with {sets['size']:.2f} grades on "
            "average")


def aligned(lines: dict[str, list[str]]) -> str:
    """A text table with aligned columns.

    Args:
        lines: `{first cell: further cells}`, one per line, the titles first.
    """
    cells = [[label, *values] for label, values in lines.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def attention_table(rows: dict[str, dict]) -> str:
    """A text table of localisation scores, with the scores of a uniform mask.

    Args:
        rows: `{label: scores}`, one branch per line; as `localisation` returns them.
    """
    lines = {"attention": ["on / off the joint", "share on the joint", "highest on the joint"]}
    for label, scores in rows.items():
        lines[label] = [
            f"{scores['inside_over_outside']:.2f} (uniform 1.00)",
            f"{scores['energy_inside']:.1%} (uniform {scores['energy_inside_uniform']:.1%})",
            f"{scores['pointing_game']:.1%} (uniform {scores['pointing_game_uniform']:.1%})",
        ]
    return aligned(lines)


def audit_heading(results: dict) -> str:
    """The model and the knees of an audit.

    Args:
        results: the content of `audit.json`.
    """
    knees = results["knees"]
    lines = [f"{results['model']} on {knees['matters']} {results['split']} knees of "
             f"{results['persons']} persons ({results['data']}); 95% intervals over persons"]
    if "masks" in results:
        lines += [f"where it looks: {knees['where']} {results['masks_split']} knees with a mask in "
                  f"{results['masks']}"]  # fmt: skip
    elif not knees["where"]:
        lines += ["where it looks is not measured: the joints of these knees are not known; give "
                  "experts' masks as --masks"]  # fmt: skip
    return "\n".join(lines)


def audit_text(results: dict) -> str:
    """The findings of an audit as text tables.

    Args:
        results: the content of `audit.json`.
    """
    parts = []
    for branch, found in results["branches"].items():
        output = results["outputs"][branch]
        title = branch if output == branch else f"{branch}, with the grades of {output}"
        lines = [title, "=" * len(title)]
        if not found["image"]:
            lines += [f"{branch} has no mask; only its grades and Grad-CAM are measured"]
        if found["where"]:
            lines += ["", f"Where it looks ({_knees_of_where(results)})",
                      _estimates_table(found["where"], WHERE_COLUMNS, "highest")]  # fmt: skip
        if found["image"]:
            lines += ["", *_image_lines(found["image"], results)]
        lines += ["", f"Whether it matters ({results['knees']['matters']} knees)",
                  _estimates_table(found["matters"], MATTERS_COLUMNS, "accuracy")]  # fmt: skip
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _knees_of_where(results: dict) -> str:
    every, shuffled = results["knees"]["where"], results["knees"]["shuffled"]
    fewer = f"; with the backbone shuffled {shuffled} of them" if 0 < shuffled < every else ""
    return f"{every} knees{fewer}"


def _estimates_table(rows: dict, columns: dict[str, str], compared: str) -> str:
    """Estimates, and in the last column the difference of one measure to that of the own mask."""
    lines = {"": list(columns.values())}
    if len(rows) > 1 and any("own_minus_this" in row[compared] for row in rows.values()):
        lines[""].append(f"{columns[compared]}: own minus this")
    for name, row in rows.items():
        difference = row[compared].get("own_minus_this")
        lines[name] = [_estimate(row[measure]) for measure in columns]
        lines[name] += [_estimate(difference, "+")] if difference else []
    widths = {len(cells) for cells in lines.values()}
    return aligned({name: cells + [""] * (max(widths) - len(cells))
                     for name, cells in lines.items()})  # fmt: skip


def _image_lines(image: dict, results: dict) -> list[str]:
    """Correlations of masks, and what shuffled weights leave of them."""
    knees = results["knees"]
    lines = [f"Whether it depends on the image ({knees['image']} knees)"]
    lines += [f"correlation of each mask {name}: {_estimate(found)}"
              for name, found in image["correlation"].items()]  # fmt: skip
    lines += ["", "Correlation with the trained mask when weights are shuffled "
              f"({knees['shuffled']} knees, {results['shufflings']} shufflings)"]  # fmt: skip
    table = {"backbone shuffled down to": ["attention layers as trained",
                                           "attention layers shuffled"]}  # fmt: skip
    for name, *found in zip(image["down_to"], image["attention_layers_kept"],
                            image["attention_layers_shuffled"], strict=True):  # fmt: skip
        table[name or "(not shuffled)"] = [_estimate(each) for each in found]
    return [*lines, aligned(table)]


def _estimate(estimate: dict, sign: str = "") -> str:
    return with_interval(estimate["value"], estimate["interval"], sign)


def with_interval(value: float | None, interval: list[float] | None, sign: str = "") -> str:
    """Text such as `0.643 [0.620, 0.665]`; `0.643` without an interval; `undefined` for None."""
    if value is None:
        return "undefined"
    if interval is None:
        return f"{value:{sign}.3f}"
    low, high = interval
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def difference_text(found: Mapping | None) -> str:
    """Text of a difference of `paired_differences`, such as `+0.043 [+0.020, +0.065]`."""
    found = found or NO_DIFFERENCE
    return with_interval(found["difference"], found["interval"], "+")


def results_table(results: dict) -> str:
    """The results of a run as a text table, with the paper's accuracy.

    Args:
        results: the content of `results.json`.
    """
    paper = paper_accuracies(results["backbone"], results["variant"])
    split = results["split"]
    origin = " (synthetic phantoms)" if results["synthetic"] else ""
    cells = {"output": [*RESULT_COLUMNS.values(), "paper"]}
    for name, metrics in results[split].items():
        label = name + ("*" if name == results["chosen"] else "")
        row = [*(metrics[key] for key in RESULT_COLUMNS), paper.get(name)]
        cells[label] = ["-" if value is None else f"{value:.3f}" for value in row]
    lines = [
        f"{results['name']}: {results['knees']} {split} knees{origin}",
        aligned(cells),
        f"* chosen by validation loss; paper: {TABLES_SOURCE}",
    ]
    for branch, values in results.get("localisation", {}).items():
        ratio = values["inside_over_outside"]
        lines.append(f"attention of {branch}: {ratio:.2f} times as high on the joint as off it "
                     "(a uniform mask: 1.00)")
    return "\n".join(lines)
