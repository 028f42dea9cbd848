"""REPRODUCTION.md's tables of real knees are those of the runs that are published beside it."""

import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

from knee_attention.commands.scripts import findings
from knee_attention.evidence.paper import PAPER_TABLE_1, paper_accuracies
from knee_attention.evidence.tables import table1, weight_search
from knee_attention.runs.finished.publishing import read_published

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "experiments" / "results" / "kneekl224"
SEARCH = PUBLISHED.with_name("kneekl224-weight-search")
pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="not in this distribution")


@pytest.fixture(scope="module")
def text():
    return (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def published():
    return read_published(PUBLISHED)


@pytest.mark.parametrize("number", [1, 2])
def test_each_table_and_its_claims_are_computed_again(number, text, capsys, monkeypatch):
    script = ROOT / "experiments" / f"run_table{number}.py"
    monkeypatch.setattr("sys.argv", [script.name, "--from", str(PUBLISHED)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out.strip().splitlines()
    assert printed[-1].startswith("- published beside this table: ")
    assert len(printed) > 8 and "\n".join([*printed[:-1], ""]) in text


def test_each_table_of_the_findings_is_computed_again(text, published):
    tables = findings.findings_of(published).strip().split("\n\n")
    assert len(tables) >= 5
    assert not [table for table in tables if f"\n\n{table}\n\n" not in text]


def test_the_search_is_that_of_its_published_runs_and_told_in_its_own_words(text):
    found = {}
    for trainings in read_published(SEARCH).values():
        weights = tuple(trainings[0].experiment["loss_weights"])
        found[weights] = sorted(trainings, key=lambda training: training.experiment["seed"])
    table = weight_search.weight_table(found)
    pd.testing.assert_frame_equal(table, pd.read_csv(SEARCH / "weight_search.csv"))
    words = " ".join(text.split())
    for measure in ("att2_loss", "accuracy"):
        assert weight_search.sentence(table, measure) in words


@pytest.mark.parametrize(("variant", "title"), [
    ("att0", "att0"), ("att1", "att1"), ("att2", "att2"), ("early_fusion", "early fusion"),
    ("multiloss", "multi-loss"),
])  # fmt: skip
def test_each_line_of_the_readme_s_table_is_that_of_the_published_runs(published, variant, title):
    """A cell is our accuracy and in brackets the paper's, of multi-loss by each output."""
    cells = []
    for backbone in PAPER_TABLE_1:
        trainings = published.get(f"{backbone}_{variant}")
        ours = table1.rows({(backbone, variant): trainings} if trainings else {})
        accuracies = {row["output"]: row["accuracy"] for row in ours.to_dict("records")}
        cell = []
        for output, paper in paper_accuracies(backbone, variant).items():
            name = f"{output} " if variant == "multiloss" else ""
            own = f"{100 * accuracies[output]:.1f} " if output in accuracies else ""
            cell.append(f"{name}{own}({100 * paper:.1f})")
        cells.append(", ".join(cell))
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert f"| {' | '.join([title, *cells])} |" in readme


def test_the_readme_s_numbers_are_those_of_the_card():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    card = (ROOT / "knee_attention" / "pretrained" / "kneekl-vgg16-multiloss.md").read_text(
        encoding="utf-8"
    )
    [accuracy] = re.findall(r"\| att\d \(grades\) \| (0\.\d+) \[", card)
    recalls = dict(re.findall(r"\| (\d) \| \d+ \| (0\.\d+) \|", card))
    assert f"{100 * float(accuracy):.0f}% of the grades right" in readme
    assert f"{100 * float(recalls['4']):.0f}% of grade 4" in readme
    assert f"{100 * float(recalls['1']):.0f}% of grade 1" in readme
