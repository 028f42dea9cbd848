"""REPRODUCTION.md's tables of real knees are those of the runs that are published beside it."""

import re
import runpy
from pathlib import Path

import pytest

from knee_attention.commands import findings
from knee_attention.evidence import table1
from knee_attention.runs.publishing import read_published

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "experiments" / "results" / "kneekl224"
pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="not in this distribution")


@pytest.fixture(scope="module")
def text():
    return (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [1, 2])
def test_each_line_of_the_tables_is_computed_again(number, text, capsys, monkeypatch):
    script = ROOT / "experiments" / f"run_table{number}.py"
    monkeypatch.setattr("sys.argv", [script.name, "--from", str(PUBLISHED)])
    runpy.run_path(str(script), run_name="__main__")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) > 5
    assert not [row for row in rows if row not in text]


def test_each_line_of_the_findings_is_computed_again(text):
    rows = findings.findings_of(read_published(PUBLISHED)).splitlines()
    assert len(rows) > 20
    assert not [row for row in rows if row not in text]


def test_the_readme_s_table_is_that_of_the_published_runs():
    """A cell is our accuracy and in brackets the paper's, the outputs of a multi-loss in a row."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = {}
    for trainings in read_published(PUBLISHED).values():
        results = trainings[0].results
        found.setdefault((results["backbone"], results["variant"]), trainings)
    table = table1.rows(found)
    assert len(table) > 20
    for row in table.to_dict("records"):
        said = f"{100 * row['accuracy']:.1f} ({100 * row['paper']:.1f})"
        assert said in readme, (row["backbone"], row["variant"], row["output"], said)


def test_the_readme_s_numbers_are_those_of_the_card():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    card = (ROOT / "knee_attention" / "pretrained" / "kneekl-vgg16-multiloss.md").read_text(
        encoding="utf-8"
    )
    [accuracy] = re.findall(r"\| att\d \(grades\) \| (0\.\d+) \[", card)
    recalls = dict(re.findall(r"\| (\d) \| \d+ \| (0\.\d+) \|", card))
    assert f"{100 * float(accuracy):.0f}% of the grades right" in readme
    assert f"{100 * float(recalls['4']):.0f}% of grade 4" in readme
    assert f"{100 * float(recalls['1']):.0f}% of grade 1" in readme
