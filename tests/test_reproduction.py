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
STUDY = ("TABLES", "BESIDE", "JOINED", "COMPARED", "PICTURES", "ABOUT")
CARD = ROOT / "knee_attention" / "pretrained" / "kneekl-vgg16-multiloss.md"
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
    arguments = [study[name] for name in STUDY]
    findings.main(*arguments, ["--from", str(copy), "--readme"])
    assert (copy / "README.md").read_bytes() == (folder / "README.md").read_bytes()


def rows_of(text, start):
    """The cells of the first table behind a heading that begins with `start`."""
    table = re.search(r"(?:^\|.*\n)+", text[text.index(f"\n## {start}") :], re.MULTILINE)[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]


@pytest.mark.parametrize("number", [1, 2])
def test_each_table_has_columns_of_the_table_of_the_set(page, text, number):
    shown, published = (rows_of(source, f"Table {number}") for source in (text, page))
    columns = [published[0].index(name) for name in shown[0]]
    short = {"Antony joint classification and regression": "Antony joint"}
    assert shown == [
        [short.get(row[column], row[column]) for column in columns] for row in published
    ]


@pytest.mark.parametrize("document", ["README.md", "REPRODUCTION.md"])
def test_each_number_with_an_interval_follows_from_the_published_runs(page, document):
    words = " ".join((ROOT / document).read_text(encoding="utf-8").split())
    numbers = re.findall(r"[-+]?\d+\.\d+ \[[-+]?\d+\.\d+, [-+]?\d+\.\d+\]", words)
    known = page + CARD.read_text(encoding="utf-8")
    rounded = {f"{float(a):.2f} [{float(b):.2f}, {float(c):.2f}]" for a, b, c in
               re.findall(r"(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\]", known)}  # fmt: skip
    assert numbers and not [one for one in numbers if one not in known and one not in rounded]


def test_the_films_of_other_hospitals_are_those_of_the_set(page, text):
    published = pd.read_csv(PUBLISHED / "other_hospitals.csv", dtype=str, keep_default_na=False)
    assert rows_of(page, "Other hospitals")[2:] == published.to_numpy().tolist()
    start = text[text.index("**Other hospitals.**") :]
    shown = rows_of("\n## Table\n" + start, "Table")
    known = published.set_index("films")[shown[0][1:]]
    assert [row[1:] for row in shown[2:]] == [known.loc[row[0]].tolist() for row in shown[2:]]
    before, after = (known_accuracy(published, films) for films in ("no local film", "50 local"))
    assert f"raise accuracy from {before} to {after}" in " ".join(start.split())


def known_accuracy(published, films):
    """The accuracy of the one row whose name contains this text."""
    [accuracy] = published[published["films"].str.contains(films)]["accuracy"]
    return accuracy


def test_the_validation_knees_beside_other_hospitals_are_those_of_the_shipped_run():
    published = pd.read_csv(PUBLISHED / "other_hospitals.csv").iloc[0]
    runs = pd.read_csv(PUBLISHED / "metrics.csv")
    [shipped] = runs[(runs["run"] == "vgg16_multiloss-224-seed2") & (runs["output"] == "att1")
                     ].to_dict("records")  # fmt: skip
    for column, metric in (("accuracy", "accuracy"), ("quadratic kappa", "kappa_quadratic"),
                           ("OA AUC", "oa_auc")):  # fmt: skip
        assert f"{shipped[metric]:.3f}" == f"{published[column]:.3f}"


def test_the_attention_scores_of_the_findings_are_those_of_the_set(page, text):
    rows = {row[0]: row[1:] for row in rows_of(page, "Attention on the joint space")}
    words = " ".join(text.split())
    for run, branch in (("vgg16_multiloss", "att0"), ("vgg16_multiloss-224", "att0"),
                        ("vgg16_multiloss", "att1"), ("vgg16_multiloss-224", "att1"),
                        ("vgg16_early_fusion", "att0")):  # fmt: skip
        assert rows[f"{run}, seed 0: {branch}"][0] in words
    own, mean = rows["vgg16_multiloss, seed 0: att0"][:2]
    assert f"({mean} in place of {own})" in words


def test_the_search_table_and_its_numbers_follow_from_the_published_runs(text):
    table = weight_search.weight_table(read_runs(SEARCH).values())
    pd.testing.assert_frame_equal(table, pd.read_csv(SEARCH / "weight_search.csv"))
    spread = re.search(r"deviation is (0\.\d+) over seeds and (0\.\d+) over cells",
                       weight_search.sentence(table, "att2_loss"))  # fmt: skip
    words = " ".join(text.split())
    assert f"att2's loss varies by {spread[2]}, over seeds of one cell by {spread[1]}" in words


@pytest.mark.parametrize(("variant", "place", "title"), [
    ("att0", 0, "att0"), ("att1", 0, "att1"), ("att2", 0, "att2"),
    ("early_fusion", 0, "early fusion"), ("multiloss", 0, "multi-loss, first branch"),
    ("multiloss", 1, "multi-loss, second branch"),
])  # fmt: skip
def test_each_row_of_the_readme_s_table_follows_from_the_published_runs(
    page, variant, place, title
):
    """A cell is our accuracy and, in brackets, the paper's."""
    ours = {(row[0], row[1]): row[2].partition(" ")[0] for row in rows_of(page, "Table 1")}
    cells = []
    for backbone, variants in PAPER_TABLE_1.items():
        output, paper = list(variants[variant].items())[place]
        branch = f"{VARIANT_TITLES[variant]} {output}" if variant in VARIANT_TITLES else output
        own = ours.get((BACKBONE_TITLES[backbone], branch))
        cells.append(f"{own} ({paper:.1f})" if own else f"({paper:.1f})")
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert f"| {' | '.join([title, *cells])} |" in readme


def test_the_readme_s_numbers_are_those_of_the_card():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    card = CARD.read_text(encoding="utf-8")
    [accuracy] = re.findall(r"\| att\d \(grades\) \| (0\.\d+) \[", card)
    recalls = dict(re.findall(r"\| (\d) \| \d+ \| (0\.\d+) \|", card))
    assert f"{100 * float(accuracy):.0f}% of the grades right" in readme
    assert f"{100 * float(recalls['4']):.0f}% of grade 4" in readme
    assert f"{100 * float(recalls['1']):.0f}% of grade 1" in readme
