"""The report: one self-contained HTML page about finished runs, without scripts."""

import shlex
from datetime import date
from pathlib import Path

from knee_attention.evidence.finished_run import ReportedRun
from knee_attention.evidence.paper import CITATION
from knee_attention.evidence.report.markup import Markup, element, join, row, table
from knee_attention.evidence.report.numbers import differences, results_table
from knee_attention.evidence.report.sections import attention_scores, one_run

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content security policy: the browser loads nothing that is not in the page."""

STYLE = Path(__file__).with_suffix(".css")
SYNTHETIC = (
    "these knees were drawn by a program; they are not of patients. The numbers show that the "
    "method works, not how well it grades radiographs. They are not comparable with the paper's."
)


def report_page(runs: list[ReportedRun]) -> str:
    """The HTML page of a report.

    Args:
        runs: at least one, in the order of the page. The first is compared with each of the others.
    """
    sections = [("Results", results_table(runs))]
    if len(runs) > 1:
        sections.append(("Differences", differences(runs)))
    sections.append(("Attention and the joint", attention_scores(runs)))
    sections += [(run.label, one_run(run)) for run in runs]
    sections += [("Settings", settings(runs)), ("Environment", environment(runs))]
    links = [
        element("a", name, href=f"#section-{place}") for place, (name, _) in enumerate(sections, 1)
    ]
    parts = [
        element("section", element("h2", name), content, id=f"section-{place}")
        for place, (name, content) in enumerate(sections, 1)
    ]
    return page(
        "knee_attention: " + ", ".join(run.label for run in runs),
        header(runs),
        element("nav", *links, aria_label="Sections"),
        element("main", *parts),
        element(
            "footer",
            element("p", element("strong", "Research use only, not a medical device.")),
            element("p", f"A reproduction of: {CITATION}"),
        ),
    )


def page(title: str, *content: Markup) -> str:
    """A self-contained HTML page in the style of the report."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    body = element("body", *content)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def header(runs: list[ReportedRun]) -> Markup:
    """The page header: title, and a table of the runs and their knees."""
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    synthetic = [run.label for run in runs if run.synthetic]
    where = "" if len(synthetic) == len(runs) else f" ({', '.join(synthetic)})"
    rows = [
        row(
            run.label,
            element("b", run.origin, class_="tag synthetic") if run.synthetic else run.origin,
            run.split,
            f"{run.results['knees']:,}",
            f"{run.results['subjects']:,}",
            f"{run.results['parameters']:,}",
            str(run.results["epochs"]),
            element("code", str(run.folder)),
        )
        for run in runs
    ]
    titles = ["run", "data", "split", "knees", "persons", "parameters", "epochs", "folder"]
    return element(
        "header",
        element("p", f"knee_attention · report of {date.today():%d %B %Y}", class_="kicker"),
        element("h1", "Kellgren-Lawrence grades of knees: " + count),
        element("p", ", ".join(run.label for run in runs), class_="names"),
        element("p", element("strong", f"Synthetic phantoms{where}"), f": {SYNTHETIC}",
                class_="banner") if synthetic else "",
        table(titles, rows, "the runs and their knees"),
    )


def settings(runs: list[ReportedRun]) -> Markup:
    """A table of the settings that differ between the runs, and a line with the others."""
    known = [
        run.experiment | {"data": run.experiment["data"] or "synthetic phantoms"} for run in runs
    ]
    names = dict.fromkeys(name for found in known for name in found if name != "name")
    values = {name: [setting(found.get(name)) for found in known] for name in names}
    same = [name for name in names if len(set(values[name])) == 1]
    rows = [row(words(name), *values[name]) for name in names if name not in same]
    parts = []
    if rows:
        titles = ["setting", *(run.label for run in runs)]
        parts.append(table(titles, rows, "settings that differ between the runs"))
    elif len(runs) > 1:
        parts.append(element("p", "The runs do not differ in any setting."))
    if same:
        begin = "Equal in all runs: " if rows else ""
        line = "; ".join(f"{words(name)} {values[name][0]}" for name in same)
        parts.append(element("p", f"{begin}{line}."))
    return join(parts)


def environment(runs: list[ReportedRun]) -> Markup:
    """A table of each run's hardware and software, and the command that repeats each run."""
    known = {run.label: run.environment for run in runs if run.environment}
    names = ("device", "backend", "precision", "commit")
    lines = {name: [setting(made.get(name)) for made in known.values()] for name in names}
    for name, title in (("training_seconds", "training"), ("wall_seconds", "whole run")):
        lines[title] = [minutes(made.get(name)) for made in known.values()]
    versions = [made.get("versions", {}) for made in known.values()]
    for package in dict.fromkeys(name for found in versions for name in found):
        lines[package] = [found.get(package, "–") for found in versions]
    rows = [row(name, *cells) for name, cells in lines.items()]
    parts = []
    if known:
        parts.append(table(["environment", *known], rows, "hardware and software of the runs"))
    for run in runs:
        parts.append(element("h3", f"Command of {run.label}"))
        command = run.environment.get("command")
        parts.append(
            element("pre", element("code", shell_command(command)), tabindex=0)
            if command
            else element("p", "Unknown: the run has no environment.json.", class_="missing")
        )
    return join(parts)


def shell_command(arguments: list[str]) -> str:
    """The shell command of a run.

    Args:
        arguments: `sys.argv` of the run.
    """
    line = shlex.join(arguments)
    return f"python {line}" if arguments[0].endswith(".py") else line


def setting(value) -> str:
    """The value of a setting as text; lists without brackets, `none` for None."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def words(name: str) -> str:
    """The name of a setting with spaces instead of underscores."""
    return name.replace("_", " ")


def minutes(seconds: float | None) -> str:
    """A time in minutes, such as `4.5 min`; a dash for None."""
    return "–" if seconds is None else f"{seconds / 60:.1f} min"
