"""The report's tables: the results of every run, and differences between runs."""

from knee_attention.errors import InputError
from knee_attention.evidence.finished_run import ReportedRun
from knee_attention.evidence.intervals import paired_differences
from knee_attention.evidence.paper import TABLES_SOURCE, paper_accuracies
from knee_attention.evidence.predictions import ENSEMBLE
from knee_attention.evidence.report.markup import Markup, element, interval_mark, join, row, table

COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "kappa": "kappa",
    "kappa_quadratic": "quadratic kappa",
    "mean_absolute_error": "MAE",
    "oa_auc": "AUC of OA",
    "expected_calibration_error": "ECE",
}
WITH_INTERVAL = [name for name in COLUMNS if name != "expected_calibration_error"]
LEGEND = (
    "Small print: 95% intervals by bootstrap over persons. MAE: mean absolute error in grades. "
    "AUC of OA: AUC of radiographic osteoarthritis, KL 2 or more. ECE: expected calibration "
    "error, which has no interval. Lower MAE and ECE are better."
)


def results_table(runs: list[ReportedRun]) -> Markup:
    """A table of every run's outputs, with the paper's accuracy."""
    rows = []
    for run in runs:
        results = run.results
        paper = paper_accuracies(results["backbone"], results["variant"])
        for output, metrics in run.outputs.items():
            published = paper.get(output)
            intervals = metrics["intervals"]
            mark = interval_mark(metrics["accuracy"], intervals["accuracy"], (0, 1), published)
            cells = [number(metrics[name], intervals.get(name)) for name in COLUMNS]
            chosen = output == run.chosen
            rows.append(
                row(
                    run.label,
                    join([output, element("b", "chosen", class_="tag")]) if chosen else output,
                    mark,
                    cells[0],
                    "–" if published is None else f"{published:.3f}",
                    *cells[1:],
                    class_="chosen" if chosen else None,
                )
            )
    first, *others = COLUMNS.values()
    titles = ["run", "output", "accuracy, 0 to 1", first, "paper", *others]
    note = (
        "Chosen: the output with the lowest validation loss, which represents the run. Paper: "
        f"{TABLES_SOURCE}; the vertical line in the plot. "
    )
    if any(ENSEMBLE in run.outputs for run in runs):
        note += "Ensemble: mean of the outputs before the softmax. "
    return join(
        [
            table(titles, rows, "results of every run and output", class_="numbers"),
            element("p", note + LEGEND, class_="note"),
        ]
    )


def differences(runs: list[ReportedRun]) -> Markup:
    """Differences between the first run and each of the others, on their common knees."""
    first, *others = runs
    pairs, sentences = {}, []
    for other in others:
        reason = why_other_knees(first, other)
        try:
            if not reason:
                pairs[other.label] = paired_differences(
                    first.predictions, first.chosen, other.predictions, other.chosen
                )
        except InputError as error:
            reason = str(error)
        sentences.append(
            f"{first.label} and {other.label} cannot be compared: {reason}."
            if reason
            else in_words(first, other, pairs[other.label])
        )
    parts = [element("ul", *(element("li", sentence) for sentence in sentences))]
    if pairs:
        parts += [
            difference_table(first, pairs),
            element(
                "p",
                f"{first.label} minus each other run: chosen outputs, with 95% intervals. Each "
                "resample draws the same persons for both runs. Bold: the interval excludes zero. "
                "About one in twenty intervals excludes zero by chance.",
                class_="note",
            ),
        ]
    return join(parts)


def difference_table(first: ReportedRun, pairs: dict[str, dict]) -> Markup:
    """A table of differences from the first run, one row per other run.

    Args:
        first: the first run.
        pairs: `{label of the other run: differences}`, as `paired_differences` returns them.
    """
    accuracies = [pair["metrics"]["accuracy"] for pair in pairs.values()]
    bounds = [abs(bound) for value in accuracies if value for bound in value["interval"]]
    reach = max([*bounds, 0.01])
    rows = []
    for label, pair in pairs.items():
        accuracy = pair["metrics"]["accuracy"]
        mark = (
            interval_mark(accuracy["difference"], accuracy["interval"], (-reach, reach), 0)
            if accuracy
            else "–"
        )
        cells = [difference(pair["metrics"][name]) for name in WITH_INTERVAL]
        rows.append(row(f"minus {label}", str(pair["knees"]), mark, *cells))
    titles = [first.label, "knees", f"accuracy, ±{reach:.2f}"]
    titles += [COLUMNS[name] for name in WITH_INTERVAL]
    return table(titles, rows, f"differences of {first.label} from the others", class_="numbers")


def in_words(first: ReportedRun, other: ReportedRun, pair: dict) -> str:
    """A comparison as text: the accuracy difference, then the intervals that exclude zero."""
    both = f"{first.label} ({first.chosen}) and {other.label} ({other.chosen})"
    on = f"{pair['knees']} common knees of {pair['subjects']} persons"
    measured = {name: pair["metrics"][name] for name in WITH_INTERVAL if pair["metrics"][name]}
    if not measured:
        return f"{both}, {on}: a single person gives no interval."
    clear = [COLUMNS[name] for name, value in measured.items() if excludes_zero(value)]
    rest = [COLUMNS[name] for name, value in measured.items() if not excludes_zero(value)]
    value = measured["accuracy"]
    low, high = (signed(bound) for bound in value["interval"])
    begin = (f"{both}, {on}: accuracy differs by {signed(value['difference'])}, 95% interval {low} "
             f"to {high}. ")
    if first.is_copy_of(other):
        begin += "Both contain the same training: one is a copy of the other. "
    if not clear:
        return begin + "No interval excludes zero: these knees show no difference."
    more = f" The interval includes zero for {', '.join(rest)}." if rest else ""
    return f"{begin}The interval excludes zero for {', '.join(clear)}.{more}"


def why_other_knees(first: ReportedRun, other: ReportedRun) -> str | None:
    """The reason why two runs have different knees, even if file names are equal; or None."""
    if first.synthetic != other.synthetic:
        return "only one of them graded synthetic phantoms"
    seeds = [run.experiment["seed"] for run in (first, other)]
    if first.synthetic and seeds[0] != seeds[1]:
        return f"their phantoms were drawn from the seeds {seeds[0]} and {seeds[1]}"
    counts = [len(run.predictions) for run in (first, other)]
    if first.synthetic and counts[0] != counts[1]:
        return f"sets of {counts[0]} and {counts[1]} phantoms contain different knees"
    return None


def number(value: float | None, interval: list[float] | None = None) -> str:
    """A table cell: a number, and its interval below."""
    if value is None:
        return element("i", "undefined")
    if interval is None:
        return minus(f"{value:.3f}")
    low, high = interval
    return join([minus(f"{value:.3f}"), element("small", minus(f"{low:.3f} to {high:.3f}"))])


def difference(value: dict | None) -> Markup:
    """A table cell: a difference and its interval; bold if the interval excludes zero."""
    if value is None:
        return element("i", "undefined")
    shown = signed(value["difference"])
    low, high = (signed(bound) for bound in value["interval"])
    return join(
        [
            element("b", shown) if excludes_zero(value) else shown,
            element("small", f"{low} to {high}"),
        ]
    )


def excludes_zero(value: dict) -> bool:
    """Whether the interval of a difference excludes zero."""
    low, high = value["interval"]
    return low > 0 or high < 0


def signed(value: float) -> str:
    """A number with its sign and three decimals."""
    return minus(f"{value:+.3f}")


def minus(text: str) -> str:
    """The text with typographic minus signs, which are as wide as a plus."""
    return text.replace("-", "−")
