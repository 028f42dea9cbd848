"""The texts about real knees agree with the published runs."""

import re
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest

from knee_attention.commands.scripts import findings
from knee_attention.evidence.paper import BACKBONE_TITLES, PAPER_TABLE_1, VARIANT_TITLES
from knee_attention.evidence.tables import weight_search
from knee_attention.runs.finished.published_runs import read_runs

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "experiments" / "results" / "kneekl224"
SEARCH = PUBLISHED.with_name("kneekl224-weight-search")
pytestmark = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="not in this distribution")


@pytest.fixture(scope="module")
def text():
    return (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page():
    return (PUBLISHED / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", [PUBLISHED, SEARCH], ids=lambda folder: folder.name)
def test_each_set_s_readme_is_written_by_findings(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / folder.name)
    (copy / "README.md").unlink()
    study = runpy.run_path(str(ROOT / "experiments" / "findings.py"))
    arguments = [study[name] for name in ("TABLES", "BESIDE", "JOINED", "PICTURES", "ABOUT")]
    findings.main(*arguments, ["--from", str(copy), "--readme"])
    assert (copy / "README.md").read_bytes() == (folder / "README.md").read_bytes()


def test_the_tables_of_the_reproduction_are_in_the_readme_of_the_set(page, text):
    _, *sections, _ = re.split(r"^(?=## (?:Table 1|Table 2|Differences|Attention|Ensembles|Other "
                               r"rules|Pictures))", page, flags=re.MULTILINE)  # fmt: skip
    assert len(sections) == 7
    for section in sections:
        [table] = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
        assert f"\n\n{table}\n" in text
        notes = re.findall(r"^- .*\n", section, re.MULTILINE)
        assert not [note for note in notes if note not in text]


def test_the_search_table_and_sentences_follow_from_the_published_runs(text):
    table = weight_search.weight_table(read_runs(SEARCH).values())
    pd.testing.assert_frame_equal(table, pd.read_csv(SEARCH / "weight_search.csv"))
    words = " ".join(text.split())
    for measure in ("att2_loss", "accuracy"):
        assert weight_search.sentence(table, measure) in words


@pytest.mark.parametrize(("variant", "title"), [
    ("att0", "att0"), ("att1", "att1"), ("att2", "att2"), ("early_fusion", "early fusion"),
    ("multiloss", "multi-loss"),
])  # fmt: skip
def test_each_row_of_the_readme_s_table_follows_from_the_published_runs(page, variant, title):
    """A cell is our accuracy and, in brackets, the paper's; for multi-loss, of each output."""
    shown = {}
    for line in page.splitlines():
        model, branch, accuracy, *_ = (cell.strip() for cell in line.split("|")[1:] + 3 * [""])
        shown.setdefault((model, branch), accuracy.partition(" ")[0])
    cells = []
    for backbone, variants in PAPER_TABLE_1.items():
        cell = []
        for output, paper in variants[variant].items():
            branch = f"{VARIANT_TITLES[variant]} {output}" if variant in VARIANT_TITLES else output
            name = f"{output} " if variant == "multiloss" else ""
            ours = shown.get((BACKBONE_TITLES[backbone], branch))
            cell.append(f"{name}{f'{ours} ' if ours else ''}({paper:.1f})")
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
